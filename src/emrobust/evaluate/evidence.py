"""What a report shows beyond the scores; a part that cannot be had says why and stops no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from emrobust import records
from emrobust.errors import EmrobustError, InputError
from emrobust.evaluate import curves, metrics, slices, suites
from emrobust.evaluate import run as evaluation
from emrobust.evaluate.calibration import (
    Calibrator,
    Choice,
    RiskCoverage,
    SetSizes,
    control,
    measure_sets,
    risk_coverage,
)
from emrobust.evaluate.curves import Reliability
from emrobust.evaluate.predictions import Predictions
from emrobust.evaluate.run import Measured
from emrobust.evaluate.significance import Significance
from emrobust.evaluate.slices.groups import Aspects
from emrobust.evaluate.suites import Seen, Suite
from emrobust.train.run import Run

# Coverages that are shown beside the one that the project asks for.
_TARGETS = (0.8, 0.9, 0.95, 0.99)
T = TypeVar("T")
Shift = tuple[list[suites.SuiteScore], dict[str, str]]


@dataclass(frozen=True)
class Calibrated:
    """Calibration on the measured records, before and after.

    Attributes:
        name: of the calibrator.
        validation: calibrator → nll, brier and ece on validation records, cross-validated.
        before: ece, ece_mass (bins of equal numbers), brier; ece_top for a single-label task.
        after: the same, calibrated.
        label_ece: label → before and after; None where it has no case.
        label_ece_mass: the same with bins of equal numbers.
        reliability: of the probabilities before.
    """

    name: str
    validation: Mapping[str, Mapping[str, float]]
    before: Mapping[str, float]
    after: Mapping[str, float]
    label_ece: Mapping[str, tuple[float, float] | None]
    label_ece_mass: Mapping[str, tuple[float, float] | None]
    reliability: Reliability


@dataclass(frozen=True)
class Evidence:
    """Parts of a report; those that are None have their reason in ``missing``.

    Attributes:
        calibration: before and after.
        coverage: the target that the project asks for.
        sets: label sets with a coverage guarantee, by target.
        risk: what is left to the doctor, and how right the rest is.
        suites: scores under noise, cut or padded texts, attacks, and of records from elsewhere.
        shift: aspect → why there is no such suite of records from elsewhere.
        fairness: groups of records.
        buckets: labels by frequency.
        discovery: groups that nobody named.
        significance: recipes over several seeds.
        missing: part → why it is not there.
    """

    calibration: Calibrated | None = None
    coverage: float = 0.95
    sets: tuple[SetSizes, ...] = ()
    risk: RiskCoverage | None = None
    suites: tuple[suites.SuiteScore, ...] = ()
    shift: Mapping[str, str] = field(default_factory=dict)
    fairness: slices.Fairness | None = None
    buckets: tuple[slices.Bucket, ...] = ()
    discovery: slices.Discovery | None = None
    significance: Significance | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values for metrics.json."""
        own = {name: getattr(self, name) for name in ("fairness", "discovery", "significance")}
        return {
            "calibration": self.calibration and asdict(self.calibration),
            "sets": [of.to_json() for of in self.sets],
            "risk_coverage": self.risk and self.risk.to_json(),
            "suites": {of.name: of.to_json() for of in self.suites},
            "shift": dict(self.shift),
            "label_frequency": [asdict(bucket) for bucket in self.buckets],
            **{name: of and of.to_json() for name, of in own.items()},
            "missing": dict(self.missing),
        }


@dataclass(frozen=True)
class Material:
    """What evidence is made of, as far as it is there.

    Attributes:
        run: the run.
        of_run: its predictions of the measured records, calibrated.
        calibrator: what calibrated them.
        table: the measured records with metadata and texts, in the same order.
        no_table: why there is none.
        suites: suites of these records.
        no_suites: why there are none.
        seen: sites, years and departments of training records.
        trained: label → training records.
    """

    run: Run
    of_run: Measured
    calibrator: Calibrator | None
    table: pa.Table | None = None
    no_table: str = ""
    suites: Sequence[Suite] = ()
    no_suites: str = ""
    seen: Seen = field(default_factory=dict)
    trained: Mapping[str, int] = field(default_factory=dict)


def collect(of: Material) -> Evidence:
    """Every part that can be had; problems of one part leave the others alone."""
    missing: dict[str, str] = {}

    def attempt(part: str, make: Callable[[], T], otherwise: T) -> T:
        try:
            return make()
        except EmrobustError as error:
            missing[part] = str(error)
            return otherwise

    given, settings = of.of_run.predictions, of.run.project.evaluate
    seed = of.run.project.seed
    choice = attempt("calibration", lambda: _choice(of), None)
    nothing: Aspects = {}
    aspects = attempt("slices", lambda: slices.aspects_of(_table(of)), nothing)
    found = Evidence(
        calibration=None
        if choice is None
        else attempt("calibration", lambda: _calibrated(of, choice), None),
        coverage=settings.coverage,
        sets=() if choice is None else attempt("sets", lambda: _sets(of), ()),
        risk=risk_coverage(given),
        suites=attempt("suites", lambda: _suites(of, missing), ()),
        fairness=slices.measure_groups(given, aspects, settings=settings, seed=seed)
        if aspects
        else None,
        buckets=tuple(slices.measure_buckets(given, of.trained, settings=settings, seed=seed))
        if of.trained
        else (),
        discovery=attempt("discovery", lambda: _discovery(of, aspects), None),
    )
    none: Shift = ([], {})
    scores, why = attempt("shift", lambda: _shift(of), none)
    return replace(found, suites=(*found.suites, *scores), shift=why, missing=missing)


def _table(of: Material) -> pa.Table:
    if of.table is None:
        raise InputError(of.no_table or "the records of the run were not found")
    return of.table


def _choice(of: Material) -> Choice | None:
    """The run's calibrator again, for what it says of each validation record."""
    saved = evaluation.validation_scores(of.run) is not None and of.calibrator is not None
    return evaluation.choice_of(of.run, of.calibrator.name if saved and of.calibrator else None)


def _calibrated(of: Material, choice: Choice) -> Calibrated | None:
    """Before and after; the probabilities before come from the run itself."""
    after = of.of_run.predictions
    before = of.of_run.raw or after
    bins = of.run.project.evaluate.bins
    return Calibrated(
        name=choice.calibrator.name,
        validation=evaluation.validation_scores(of.run) or choice.scores,
        before=_errors(before, bins),
        after=_errors(after, bins),
        label_ece=_by_label(before, after, bins, metrics.ece),
        label_ece_mass=_by_label(before, after, bins, metrics.ece_mass),
        reliability=curves.reliability(before.truth, before.probability, bins),
    )


def _by_label(
    before: Predictions, after: Predictions, bins: int, measure: Callable[..., float]
) -> dict[str, tuple[float, float] | None]:
    """Label → the error before and after; None where it has no case."""
    columns = [slice(k, k + 1) for k in range(len(after.names))]
    return {
        name: (
            measure(before.truth[:, k], before.probability[:, k], bins),
            measure(after.truth[:, k], after.probability[:, k], bins),
        )
        if after.truth[:, k].any()
        else None
        for name, k in zip(after.names, columns, strict=True)
    }


def _errors(of: Predictions, bins: int) -> dict[str, float]:
    found = {
        "ece": metrics.ece(of.truth, of.probability, bins),
        "ece_mass": metrics.ece_mass(of.truth, of.probability, bins),
        "brier": metrics.brier(of.truth, of.probability),
    }
    if of.task == "single":
        top = of.probability.max(axis=1, keepdims=True)
        hit = (of.truth & of.predicted).max(axis=1, keepdims=True)
        found["ece_top"] = metrics.ece(hit, top, bins)
    return found


def _sets(of: Material) -> tuple[SetSizes, ...]:
    """Sets by target, of the model's own probabilities."""
    calibrating = evaluation.read(of.run, split="validation").predictions
    given = of.of_run.raw or of.of_run.predictions
    targets = sorted({*_TARGETS, of.run.project.evaluate.coverage})
    return tuple(measure_sets(given, control(calibrating, target)) for target in targets)


def _suites(of: Material, missing: dict[str, str]) -> tuple[suites.SuiteScore, ...]:
    if not of.suites:
        if of.no_suites:
            raise InputError(of.no_suites)
        return ()
    standard = (of.of_run.record_id, of.of_run.predictions)
    found, model = [], of.run.estimator()
    for suite in of.suites:
        try:
            measured = evaluation.predict(of.run, suite.path, of.calibrator, model)
            found.append(
                suites.measure_file(
                    (suite.name, suite.kind, suite.about),
                    (measured.record_id, measured.predictions),
                    standard,
                    settings=of.run.project.evaluate,
                    seed=of.run.project.seed,
                )
            )
        except EmrobustError as error:
            missing[f"suite {suite.name}"] = str(error)
        except (pa.ArrowInvalid, KeyError):
            missing[f"suite {suite.name}"] = f"{suite.path.name} is no records file"
    return tuple(found)


def _shift(of: Material) -> Shift:
    project = of.run.project
    if "shift" not in project.evaluate.suites:
        return [], {}
    return suites.measure_shift(
        of.seen, _table(of), of.of_run.predictions, settings=project.evaluate, seed=project.seed
    )


def _discovery(of: Material, aspects: Aspects) -> slices.Discovery | None:
    return slices.discover(
        of.of_run.predictions,
        aspects,
        records.join_text(_table(of)),
        settings=of.run.project.evaluate,
        language=of.run.project.language,
        seed=of.run.project.seed,
    )


def rows_of(table: pa.Table, record_id: Sequence[str]) -> np.ndarray | None:
    """Where these records are in a table; None if one of them is not there."""
    place = {record: row for row, record in enumerate(table["record_id"].to_pylist())}
    rows = [place.get(record, -1) for record in record_id]
    return None if -1 in rows else np.array(rows, dtype=np.int64)

"""A model's score on a suite beside its score on the same records as they were written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from emrobust import config
from emrobust.errors import InputError
from emrobust.evaluate import intervals, metrics
from emrobust.evaluate.metrics import Floats
from emrobust.evaluate.predictions import Predictions
from emrobust.evaluate.suites.write import Kind

MEASURES = ("macro_f1", "micro_f1")


@dataclass(frozen=True)
class LabelDrop:
    """One label; scores are None where it has no case, which is not a score of 0.

    ``interval`` is that of the difference, suite minus standard; None without both scores or
    without a bootstrap.
    """

    support: int
    standard: float | None
    suite: float | None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class SuiteScore:
    """Scores on a suite, on the standard records, and the relative drop between the two.

    Macro-F1 is the mean over labels with a case on both sides, so the two can be compared; it
    may differ a little from that of all test records.

    Attributes:
        name: of the suite.
        kind: of the suite.
        n: its records.
        patients: their patients.
        standard: measure → score on the standard records.
        suite: measure → score on the suite.
        drop: measure → (standard - suite) / standard; None where the standard score is 0.
        interval: measure → of the drop; empty without a bootstrap.
        ece: calibration error on the suite.
        given: labels given to a record of the suite, on average.
        labels: labels with a case on both sides.
        per_label: every label.
        about: how the suite was made.
    """

    name: str
    kind: Kind
    n: int
    patients: int
    standard: Mapping[str, float]
    suite: Mapping[str, float]
    drop: Mapping[str, float | None]
    interval: Mapping[str, tuple[float, float]]
    ece: float
    given: float
    labels: int
    per_label: Mapping[str, LabelDrop]
    about: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def measure_file(
    suite: tuple[str, Kind, Mapping[str, Any]],
    of_suite: tuple[tuple[str, ...], Predictions],
    standard: tuple[tuple[str, ...], Predictions],
    *,
    settings: config.Evaluate,
    seed: int,
) -> SuiteScore:
    """Measure predictions of a suite's file against those of the standard records.

    Args:
        suite: its name, its kind and how it was made.
        of_suite: record numbers and predictions of the suite.
        standard: record numbers and predictions of all standard records.
        settings: draws, confidence and bins.
        seed: of the bootstrap.

    Raises:
        InputError: the suite holds records that are not among the standard ones.
    """
    name, kind, about = suite
    taken, moved = align(name, of_suite, standard)
    return compare(name, kind, taken, moved, settings=settings, seed=seed, about=about)


def align(
    name: str,
    of_suite: tuple[tuple[str, ...], Predictions],
    standard: tuple[tuple[str, ...], Predictions],
) -> tuple[Predictions, Predictions]:
    """The standard records of a suite, and the suite, with patients numbered alike.

    Args:
        name: of the suite.
        of_suite: record numbers and predictions of the suite.
        standard: record numbers and predictions of all standard records.

    Raises:
        InputError: the suite holds records that are not among the standard ones, or that have
            other labels there.
    """
    ids, given = of_suite
    place = {record: row for row, record in enumerate(standard[0])}
    unknown = [record for record in ids if record not in place]
    if unknown:
        raise InputError(
            f"the suite {name} has {len(unknown)} records that are no test records of the run",
            "It was made of another table; delete its folder to have it made again.",
        )
    taken = take(standard[1], np.array([place[record] for record in ids], dtype=np.int64))
    if not np.array_equal(taken.truth, given.truth):
        raise InputError(
            f"the suite {name} has other labels than the run's test records",
            "It was made of another table; delete its folder to have it made again.",
        )
    return taken, replace(given, patient=taken.patient, patients=taken.patients)


def take(of: Predictions, rows: np.ndarray) -> Predictions:
    """The predictions of some rows, patients numbered anew."""
    known, patient = np.unique(of.patient[rows], return_inverse=True)
    return replace(
        of,
        truth=of.truth[rows],
        probability=of.probability[rows],
        predicted=of.predicted[rows],
        patient=patient.astype(np.int64),
        patients=len(known),
    )


def compare(
    name: str,
    kind: Kind,
    standard: Predictions,
    suite: Predictions,
    *,
    settings: config.Evaluate,
    seed: int,
    about: Mapping[str, Any] | None = None,
) -> SuiteScore:
    """Measure a suite against standard records of the same numbering of patients.

    The two need not have the same rows: both are resampled by the same draws of patients.

    Raises:
        InputError: the suite has no record.
    """
    if not suite.n or not standard.n:
        raise InputError(f"the suite {name} has no records", "Give a table with test records.")
    cases = [side.truth.sum(axis=0) for side in (standard, suite)]
    both = _on_both((standard, suite))
    f1 = [metrics.f1(metrics.count(side.truth, side.predicted)) for side in (standard, suite)]
    scores = [_scores(side, own, both) for side, own in zip((standard, suite), f1, strict=True)]
    drawn = draw((standard, suite), settings, seed) if settings.bootstrap and both.any() else None
    moved = None if drawn is None else drawn[1]["label_f1"] - drawn[0]["label_f1"]
    return SuiteScore(
        name=name,
        kind=kind,
        n=suite.n,
        patients=len(np.unique(suite.patient)),
        standard=scores[0],
        suite=scores[1],
        drop={measure: _drop(scores[0][measure], scores[1][measure]) for measure in MEASURES},
        interval={} if drawn is None else _intervals(drawn, scores, settings.confidence),
        ece=metrics.ece(suite.truth, suite.probability, settings.bins),
        given=float(suite.predicted.sum(axis=1).mean()),
        labels=int(both.sum()),
        per_label={
            label: LabelDrop(
                support=int(cases[1][k]),
                standard=float(f1[0][k]) if cases[0][k] else None,
                suite=float(f1[1][k]) if cases[1][k] else None,
                interval=None
                if moved is None or not both[k]
                else intervals.percentile(
                    intervals.centred(moved[:, k], float(f1[1][k] - f1[0][k])),
                    settings.confidence,
                ),
            )
            for k, label in enumerate(suite.names)
        },
        about=about or {},
    )


def _scores(side: Predictions, f1: Floats, both: np.ndarray) -> dict[str, float]:
    counts = metrics.count(side.truth, side.predicted).total()
    macro = float(f1[both].mean()) if both.any() else 0.0
    return {"macro_f1": macro, "micro_f1": float(metrics.f1(counts))}


def _drop(standard: float, suite: float) -> float | None:
    return (standard - suite) / standard if standard else None


def _on_both(sides: tuple[Predictions, Predictions]) -> np.ndarray:
    """Which labels have a case on both sides."""
    standard, suite = (side.truth.sum(axis=0) for side in sides)
    found: np.ndarray = (standard > 0) & (suite > 0)
    return found


def draw(
    sides: tuple[Predictions, Predictions], settings: config.Evaluate, seed: int
) -> list[dict[str, Floats]]:
    """Scores of the standard records and of a suite in the same draws of patients.

    Args:
        sides: with the same numbering of patients, and a label with a case on both.
        settings: how many draws.
        seed: names the draws.

    Returns:
        for each side ``label_f1`` [draws, labels], ``macro_f1`` over labels with a case on both
        sides, and ``micro_f1`` [draws].
    """
    patients, both = max(side.patients for side in sides), _on_both(sides)
    drawn = []
    for side in sides:
        label, micro = intervals.resample_f1(
            side.truth,
            side.predicted,
            side.patient,
            resamples=settings.bootstrap,
            seed=seed,
            patients=patients,
        )
        macro = label[:, both].mean(axis=1)
        drawn.append({"label_f1": label, "macro_f1": macro, "micro_f1": micro})
    return drawn


def _intervals(
    drawn: list[dict[str, Floats]],
    scores: list[dict[str, float]],
    confidence: float,
) -> dict[str, tuple[float, float]]:
    """Of each measure's relative drop."""
    found = {}
    for measure in MEASURES:
        point = _drop(scores[0][measure], scores[1][measure])
        if point is not None:
            first, second = (of[measure] for of in drawn)
            of_draws = metrics.ratio(first - second, first)
            found[measure] = intervals.percentile(intervals.centred(of_draws, point), confidence)
    return found

"""What an attack has done to a model: rates with intervals by patient, scores before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from emrobust import config
from emrobust.errors import InputError
from emrobust.evaluate import intervals, metrics
from emrobust.evaluate.metrics import Floats
from emrobust.evaluate.predictions import Predictions
from emrobust.evaluate.suites import measure as suites
from emrobust.evaluate.suites.measure import SuiteScore


class Attempted(NamedTuple):
    """What became of one record.

    Attributes:
        record_id: its number.
        state: ``skipped`` where the goal asks for nothing that the model still has.
        queries: texts that the model was asked about.
        edits: of the attacked text; 0 unless it is a success.
        characters: share of the record's characters that they touch.
        after: the model's probabilities [K] of the attacked text; None unless it is a success.
        tried: whether any change was allowed.
    """

    record_id: str
    state: Literal["success", "failure", "skipped"]
    queries: int
    edits: int = 0
    characters: float = 0.0
    after: tuple[float, ...] | None = None
    tried: bool = True


@dataclass(frozen=True)
class Rate:
    """A share of records with its interval; None without a record, or without a bootstrap."""

    value: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Attacked:
    """A model under one attack.

    Attributes:
        records: that were looked at.
        patients: whose they are.
        successes: records whose changed text reaches the goal.
        failures: records whose text withstood the budget.
        untried: of these, records in which no change was allowed: they withstood nothing.
        skipped: records with nothing to gain.
        success_rate: of the records that were not skipped.
        accuracy: share of records all of whose decisions are right, as they were written.
        accuracy_under_attack: the same, where successes are replaced by the changed texts.
        queries: mean of the records that were not skipped.
        most_queries: of any record.
        edits: mean of the successes; None without one.
        characters: mean share of characters touched in them; None without one.
        scores: F1 before and after, per label too.
    """

    records: int
    patients: int
    successes: int
    failures: int
    untried: int
    skipped: int
    success_rate: Rate
    accuracy: Rate
    accuracy_under_attack: Rate
    queries: float | None
    most_queries: int
    edits: float | None
    characters: float | None
    scores: SuiteScore

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = asdict(self)
        return plain | {"scores": self.scores.to_json()}


def measure(
    name: str,
    before: Predictions,
    attempted: Sequence[Attempted],
    *,
    settings: config.Evaluate,
    seed: int,
    about: Mapping[str, Any] | None = None,
) -> Attacked:
    """Measure an attack.

    Args:
        name: of the attack.
        before: predictions of the records as they were written.
        attempted: what became of each, in the same order.
        settings: draws, confidence and bins.
        seed: of the bootstrap.
        about: how the attack was made.

    Raises:
        InputError: there is no record, or the two don't fit each other.
    """
    if not attempted or before.n != len(attempted):
        raise InputError(
            f"{before.n} predictions and {len(attempted)} attacked records can't be measured",
            "Attack at least one record of the run's test split.",
        )
    after = _after(before, attempted)
    states = np.array([of.state for of in attempted])
    success, tried = states == "success", states != "skipped"
    everyone = np.ones(before.n, dtype=bool)
    right = [(side.truth == side.predicted).all(axis=1) for side in (before, after)]

    def rate(hits: np.ndarray, of: np.ndarray) -> Rate:
        return _rate(hits, of, before, settings, seed)

    return Attacked(
        records=before.n,
        patients=before.patients,
        successes=int(success.sum()),
        failures=int((states == "failure").sum()),
        untried=sum(of.state == "failure" and not of.tried for of in attempted),
        skipped=int((~tried).sum()),
        success_rate=rate(success, tried),
        accuracy=rate(right[0], everyone),
        accuracy_under_attack=rate(right[1], everyone),
        queries=_mean([of.queries for of in attempted if of.state != "skipped"]),
        most_queries=max(of.queries for of in attempted),
        edits=_mean([of.edits for of in attempted if of.state == "success"]),
        characters=_mean([of.characters for of in attempted if of.state == "success"]),
        scores=suites.compare(
            name, "attack", before, after, settings=settings, seed=seed, about=about
        ),
    )


def _after(before: Predictions, attempted: Sequence[Attempted]) -> Predictions:
    """Predictions with the answers of successful texts in place of the originals'."""
    probability = before.probability.copy()
    predicted = before.predicted.copy()
    for row, of in enumerate(attempted):
        if of.after is not None:
            answer = np.array(of.after)
            probability[row] = answer
            predicted[row] = _decide(before, answer)
    return replace(before, probability=probability, predicted=predicted)


def _decide(of: Predictions, answer: Floats) -> np.ndarray:
    if of.thresholds is not None:
        return (answer >= of.thresholds).astype(np.uint8)
    decided = np.zeros(len(answer), dtype=np.uint8)
    decided[answer.argmax()] = 1
    return decided


def _rate(
    hits: np.ndarray, of: np.ndarray, side: Predictions, settings: config.Evaluate, seed: int
) -> Rate:
    """Share of ``hits`` among the records ``of``; patients are drawn.

    Of none or all there is no spread to draw: the interval is Clopper and Pearson's, of patients.
    """
    total = int(of.sum())
    if not total:
        return Rate(None, None)
    value = float((hits & of).sum() / total)
    if not settings.bootstrap:
        return Rate(value, None)
    if value in {0.0, 1.0}:
        reach = ((1 - settings.confidence) / 2) ** (1 / side.patients_in(of))
        return Rate(value, (reach, 1.0) if value else (0.0, 1 - reach))
    columns = np.stack([hits & of, of], axis=1).astype(np.float64)
    parts = intervals.by_patient(columns, side.patient, side.patients)
    drawn = intervals.chunks(seed, side.patients, settings.bootstrap, np.float64)
    sums = np.concatenate([chunk @ parts for chunk in drawn])
    low, high = intervals.percentile(
        intervals.centred(metrics.ratio(sums[:, 0], sums[:, 1]), value).clip(0, 1),
        settings.confidence,
    )
    return Rate(value, (low, high))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None

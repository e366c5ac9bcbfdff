"""Do the probabilities still mean what they say, as far as doctors answered?

What a doctor accepted or corrected is taken as the truth. Where a prediction was rejected without a
correction, its chosen labels were wrong and nothing is known of the others. Doctors who see a
prediction tend to agree with it, and they answer the cases that they choose, so this is a warning
light and no measurement of accuracy.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from scipy.special import ndtr

from emrobust import rng
from emrobust.serve.monitor.level import Floats, Level, Limits, judge
from emrobust.serve.store import Database, clock
from emrobust.serve.store.entries import TRIAGE
from emrobust.serve.store.schema import AUDIT, FEEDBACK, PREDICTIONS

_MOST = 5000  # of the latest answers
# Below, a label is next to impossible, and thousands of such would hide all others.
_LEAST_P = 0.05
_BINS = 10
_RESAMPLES = 200
# Observed over expected, one way or the other.
RATIO = Limits(1.1, 1.25)


@dataclass(frozen=True, eq=False)
class Answers:
    """Probabilities of labels and whether they were right, of records that doctors answered.

    Attributes:
        probability: of each pair of record and label, from `_LEAST_P` on.
        right: 0 or 1.
        record: number of the record of each pair.
        records: how many were answered.
    """

    probability: Floats
    right: Floats
    record: np.ndarray
    records: int


@dataclass(frozen=True)
class Calibration:
    """How far off the probabilities are.

    Attributes:
        ece: mean distance of probability and frequency over ten bins.
        ece_interval: 95 %, records drawn with replacement.
        ratio: labels that were right, over those that were expected.
        ratio_interval: likewise.
        p: that they are calibrated, by Spiegelhalter's z with the variance between records.
        bins: from, to, expected, observed, pairs.
        level: of it.
    """

    ece: float
    ece_interval: tuple[float, float]
    ratio: float
    ratio_interval: tuple[float, float]
    p: float
    bins: tuple[tuple[float, float, float, float, int], ...]
    level: Level


def read(database: Database, model: str, start: dt.datetime) -> Answers:
    """What doctors said since a moment, the latest word on each prediction."""
    told = (FEEDBACK.c.prediction, FEEDBACK.c.verdict, FEEDBACK.c.labels)
    asked = (
        sa.select(*told, PREDICTIONS.c.result)
        .join(PREDICTIONS, PREDICTIONS.c.id == FEEDBACK.c.prediction)
        .join(AUDIT, AUDIT.c.event == FEEDBACK.c.id)
        .where(PREDICTIONS.c.model == model, FEEDBACK.c.at >= clock.write(start))
        .where(PREDICTIONS.c.task != TRIAGE)
        # Of these only right labels are known, which would make a model look timid.
        .where(FEEDBACK.c.verdict != "partial")
        .order_by(AUDIT.c.seq.desc())
        .limit(_MOST)
    )
    with database.read() as connection:
        rows = connection.execute(asked).all()
    latest = {row.prediction: row for row in reversed(rows)}
    pairs: list[tuple[float, float, int]] = []
    known = 0
    for row in latest.values():
        pairs += [(p, right, known) for p, right in _judge(row) if p >= _LEAST_P]
        known += 1
    columns = np.array(pairs, dtype=np.float64).reshape(-1, 3)
    return Answers(columns[:, 0], columns[:, 1], columns[:, 2].astype(np.int64), known)


def _judge(row: sa.Row[Any]) -> Iterator[tuple[float, float]]:
    """Probability and truth of each label of which a doctor's answer tells."""
    result = json.loads(row.result)
    chosen = set(result["chosen"])
    truth = {"accepted": chosen, "changed": set(json.loads(row.labels)), "rejected": set()}
    for label, p in result["probabilities"].items():
        if row.verdict != "rejected" or label in chosen:
            yield p, float(label in truth[row.verdict])


def assess(given: Answers) -> Calibration:
    """Measure and judge; there must be a pair at least."""
    p, y = given.probability, given.right
    ratio = float(y.sum() / p.sum())
    drawn = [_resample(given, draw) for draw in range(_RESAMPLES)]
    low, high = np.percentile(np.array(drawn), [2.5, 97.5], axis=0)
    chance = _test(given)
    return Calibration(
        ece=_ece(p, y, np.ones_like(p)),
        ece_interval=(float(low[0]), float(high[0])),
        ratio=ratio,
        ratio_interval=(float(low[1]), float(high[1])),
        p=chance,
        bins=_bins(p, y),
        level=judge(max(ratio, 1 / max(ratio, 1e-9)), chance, RATIO),
    )


def _resample(given: Answers, draw: int) -> tuple[float, float]:
    chosen = rng.generator(0, "feedback", draw).integers(given.records, size=given.records)
    weight = np.bincount(chosen, minlength=given.records)[given.record].astype(np.float64)
    p, y = given.probability, given.right
    return _ece(p, y, weight), float((weight * y).sum() / max((weight * p).sum(), 1e-9))


def _ece(p: Floats, y: Floats, weight: Floats) -> float:
    place = np.minimum((p * _BINS).astype(int), _BINS - 1)
    gap = np.bincount(place, weight * (y - p), minlength=_BINS)
    return float(np.abs(gap).sum() / max(weight.sum(), 1e-9))


def _test(given: Answers) -> float:
    """Spiegelhalter's statistic (1986), summed by record and scaled by its spread between them."""
    p, y = given.probability, given.right
    by_record = np.bincount(given.record, (y - p) * (1 - 2 * p), minlength=given.records)
    plain = np.bincount(given.record, y - p, minlength=given.records)
    found = []
    # The first sees probabilities that are too bold or too timid, the second rates that moved.
    for terms in (by_record, plain):
        spread = float(np.sqrt((terms**2).sum()))
        found.append(2 * float(ndtr(-abs(float(terms.sum())) / spread)) if spread else 1.0)
    return min(1.0, 2 * min(found))


def _bins(p: Floats, y: Floats) -> tuple[tuple[float, float, float, float, int], ...]:
    place = np.minimum((p * _BINS).astype(int), _BINS - 1)
    return tuple(
        (k / _BINS, (k + 1) / _BINS, float(p[here].mean()), float(y[here].mean()), int(here.sum()))
        for k in range(_BINS)
        if (here := place == k).any()
    )

"""Is the model as good for each group of patients? Scores, gaps and their intervals.

Written here rather than taken from fairlearn: its metric frame has no bootstrap by patient and
no several labels a record.

A gap may come from the diagnoses that a group has, some being harder than others, and not from
the group. So each group's recall stands beside the recall that its own mix of diagnoses would
have with the other records' recall of each label: a gap to *that* is not the mix's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emrobust import config
from emrobust.evaluate import intervals, metrics
from emrobust.evaluate.metrics import Floats, ratio
from emrobust.evaluate.predictions import Predictions
from emrobust.evaluate.significance import holm
from emrobust.evaluate.slices.groups import Aspects, ordered

# Groups of fewer patients, or with fewer beside them, are listed, and not judged.
LEAST = 30
# Labels are called common from the first of these counts of training records, rare below the last.
_COMMON, _RARE = 500, 100


@dataclass(frozen=True)
class Group:
    """One group of records against all others of which the aspect is known.

    Attributes:
        aspect: sex, age, department, site, year or length.
        value: which group of it.
        n: records.
        patients: patients.
        labels: labels with a case in it.
        absent: labels without one: no score of theirs is counted, not even a 0.
        micro_f1: over all decisions.
        macro_f1: mean over labels with a case.
        recall: share of the true labels that are found.
        expected_recall: what the others' recall of each label makes of this group's labels;
            None where no other record has any of them.
        gap: micro-F1 minus that of the others.
        gap_interval: of the gap; None without a bootstrap or with too few records.
        p: of no gap, two-sided, by the bootstrap, corrected by Holm over all groups.
        judged: whether it is large enough to say something of.
        per_label: label → F1, or None where the group has no case.
    """

    aspect: str
    value: str
    n: int
    patients: int
    labels: int
    absent: int
    micro_f1: float
    macro_f1: float
    recall: float
    expected_recall: float | None
    gap: float
    gap_interval: tuple[float, float] | None
    p: float | None
    judged: bool
    per_label: Mapping[str, float | None]


@dataclass(frozen=True)
class Fairness:
    """All groups, those of an aspect together."""

    groups: tuple[Group, ...]
    confidence: float

    def worst(self) -> Group | None:
        """The group whose gap is surely below 0, the lowest; None where none is."""
        low = [
            group
            for group in self.groups
            if group.judged and group.gap < 0 and group.p is not None and group.p < 0.05
        ]
        return min(low, key=lambda group: group.gap, default=None)

    def lowest(self) -> Group | None:
        """The lowest of the groups that are judged, surely or not."""
        return min(
            (group for group in self.groups if group.judged),
            key=lambda group: group.gap,
            default=None,
        )

    def spread(self) -> dict[str, float]:
        """Aspect → largest minus smallest micro-F1 of its groups that are judged."""
        found: dict[str, list[float]] = {}
        for group in self.groups:
            if group.judged:
                found.setdefault(group.aspect, []).append(group.micro_f1)
        return {aspect: max(of) - min(of) for aspect, of in found.items() if len(of) > 1}

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        worst = self.worst()
        return {
            "groups": [asdict(group) for group in self.groups],
            "worst": None if worst is None else {"aspect": worst.aspect, "value": worst.value},
            "spread": self.spread(),
            "confidence": self.confidence,
        }


@dataclass(frozen=True)
class Bucket:
    """Labels of like frequency in training: common, middling or rare.

    Attributes:
        name: ``common``, ``middling`` or ``rare``.
        labels: of this frequency.
        absent: of these, that have no case here and are in no mean.
        macro_f1: of the others; None where all are absent.
        interval: of it.
        gap: macro-F1 minus that of all other labels; None where there are none.
        gap_interval: of the gap.
    """

    name: str
    labels: int
    absent: int
    macro_f1: float | None
    interval: tuple[float, float] | None
    gap: float | None
    gap_interval: tuple[float, float] | None


def measure_groups(
    of: Predictions, aspects: Aspects, *, settings: config.Evaluate, seed: int
) -> Fairness:
    """Measure every group of every aspect.

    Args:
        of: predictions.
        aspects: aspect → group of each record, as `groups.aspects_of` gives them.
        settings: draws and confidence.
        seed: of the bootstrap.
    """
    sides = [
        (aspect, value, *_sides(values, value))
        for aspect, values in aspects.items()
        for value in ordered(values)
    ]
    drawn = gap_draws(of, [(inside, outside) for _, _, inside, outside in sides], settings, seed)
    groups = [
        _group(of, side, None if drawn is None else drawn[:, place], settings.confidence)
        for place, side in enumerate(sides)
    ]
    return Fairness(_corrected(groups), settings.confidence)


Side = tuple[str, str, np.ndarray, np.ndarray]


def _sides(values: Sequence[str | None], value: str) -> tuple[np.ndarray, np.ndarray]:
    inside = np.array([one == value for one in values], dtype=bool)
    outside = np.array([one is not None and one != value for one in values], dtype=bool)
    return inside, outside


def gap_draws(
    of: Predictions,
    sides: Sequence[tuple[np.ndarray, np.ndarray]],
    settings: config.Evaluate,
    seed: int,
) -> Floats | None:
    """Micro-F1 of a group minus that of the others in each draw of patients: [draws, groups].

    Micro-F1 is made of two sums, so all groups are one product of draws and patients' sums.
    """
    if not settings.bootstrap or not sides:
        return None
    found = 2 * (of.truth & of.predicted).sum(axis=1, dtype=np.float64)
    either = (of.truth.sum(axis=1) + of.predicted.sum(axis=1)).astype(np.float64)
    masks = np.stack([mask for side in sides for mask in side], axis=1)
    columns = np.hstack([masks * found[:, None], masks * either[:, None]])
    parts = intervals.by_patient(columns, of.patient, of.patients)
    sums = np.concatenate(
        [
            chunk @ parts
            for chunk in intervals.chunks(seed, of.patients, settings.bootstrap, np.float64)
        ]
    )
    width = masks.shape[1]
    f1 = ratio(sums[:, :width], sums[:, width:])
    return np.asarray(f1[:, 0::2] - f1[:, 1::2])


def _group(of: Predictions, side: Side, drawn: Floats | None, confidence: float) -> Group:
    aspect, value, inside, outside = side
    counts = metrics.count(of.truth[inside], of.predicted[inside])
    others = metrics.count(of.truth[outside], of.predicted[outside])
    f1, cases = metrics.f1(counts), counts.tp + counts.fn
    micro = float(metrics.f1(counts.total()))
    gap = micro - float(metrics.f1(others.total()))
    patients = of.patients_in(inside)
    judged = min(patients, of.patients_in(outside)) >= LEAST
    differences = None if drawn is None or not judged else intervals.centred(drawn, gap)
    return Group(
        aspect=aspect,
        value=value,
        n=int(inside.sum()),
        patients=patients,
        labels=int((cases > 0).sum()),
        absent=int((cases == 0).sum()),
        micro_f1=micro,
        macro_f1=float(f1[cases > 0].mean()) if cases.any() else 0.0,
        recall=float(metrics.recall(counts.total())),
        expected_recall=_expected_recall(counts, others),
        gap=gap,
        gap_interval=None if differences is None else intervals.percentile(differences, confidence),
        p=None if differences is None else intervals.tail_p(differences),
        judged=judged,
        per_label={name: float(f1[k]) if cases[k] else None for k, name in enumerate(of.names)},
    )


def _expected_recall(counts: metrics.Counts, others: metrics.Counts) -> float | None:
    cases, known = counts.tp + counts.fn, (others.tp + others.fn) > 0
    weight = float(cases[known].sum())
    if not weight:
        return None
    return float((cases * metrics.recall(others))[known].sum() / weight)


def _corrected(groups: Sequence[Group]) -> tuple[Group, ...]:
    """The same groups with p corrected for how many were looked at."""
    places = [place for place, group in enumerate(groups) if group.p is not None]
    adjusted = holm([float(groups[place].p or 0.0) for place in places])
    p = dict(zip(places, adjusted, strict=True))
    return tuple(
        Group(**{**group.__dict__, "p": p.get(place)}) for place, group in enumerate(groups)
    )


def measure_buckets(
    of: Predictions, trained: Mapping[str, int], *, settings: config.Evaluate, seed: int
) -> list[Bucket]:
    """Macro-F1 of common, middling and rare labels.

    Args:
        of: predictions.
        trained: label → training records.
        settings: draws and confidence.
        seed: of the bootstrap.
    """
    counts = np.array([trained.get(name, 0) for name in of.names])
    masks = {
        "common": counts >= _COMMON,
        "middling": (counts >= _RARE) & (counts < _COMMON),
        "rare": counts < _RARE,
    }
    f1 = metrics.f1(metrics.count(of.truth, of.predicted))
    present = of.truth.any(axis=0)
    drawn = None
    if settings.bootstrap:
        drawn, _ = intervals.resample_f1(
            of.truth, of.predicted, of.patient, resamples=settings.bootstrap, seed=seed
        )
    return [
        Bucket(
            name,
            int(mask.sum()),
            int((mask & ~present).sum()),
            *_mean(f1, drawn, [mask & present], settings.confidence, (0.0, 1.0)),
            *_mean(f1, drawn, [mask & present, ~mask & present], settings.confidence, (-1.0, 1.0)),
        )
        for name, mask in masks.items()
        if mask.any()
    ]


def _mean(
    f1: np.ndarray,
    drawn: Floats | None,
    sides: Sequence[np.ndarray],
    confidence: float,
    bounds: tuple[float, float],
) -> tuple[float | None, tuple[float, float] | None]:
    """Macro-F1 of some labels, or of some minus that of others, with its interval.

    Args:
        f1: of each label.
        drawn: of each label in each draw of patients, [draws, labels]; None: no interval.
        sides: one mask of labels, or two.
        confidence: of the interval.
        bounds: between which the value lies.
    """
    if not all(side.any() for side in sides):
        return None, None
    value = float(_difference([f1[side].mean() for side in sides]))
    if drawn is None:
        return value, None
    draws = _difference([drawn[:, side].mean(axis=1) for side in sides])
    return value, intervals.percentile(intervals.centred(draws, value).clip(*bounds), confidence)


def _difference(means: Sequence[Any]) -> Any:
    return means[0] - means[1] if len(means) > 1 else means[0]

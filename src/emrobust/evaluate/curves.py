"""Precision-recall and reliability curves, thin enough to draw and to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from emrobust.evaluate.metrics import Binned, Floats, Indicator, bin_decisions, ratio

GRID = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision at each recall of a grid.

    Attributes:
        recall: 0, 0.01, … 1.
        micro: over all decisions of all labels.
        macro: mean over labels that have a case.
        labels: name → its curve, for a few labels.
    """

    recall: tuple[float, ...]
    micro: tuple[float, ...]
    macro: tuple[float, ...]
    labels: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Reliability:
    """Each bin of probability: decisions, mean probability, share that is true."""

    decisions: tuple[int, ...]
    confidence: tuple[float, ...]
    true: tuple[float, ...]


def precision_at_recall(truth: Indicator, probability: Floats) -> Floats:
    """Precision of one label [n] at the highest threshold that reaches each recall, [101].

    NaN everywhere for a label without a case.
    """
    cases = int(truth.sum())
    if not cases:
        return np.full(len(GRID), np.nan)
    order = np.argsort(-probability, kind="stable")
    score = probability[order]
    step = np.append(np.flatnonzero(score[1:] != score[:-1]), len(score) - 1)
    found = np.cumsum(truth[order], dtype=np.int64)[step]
    # Recalls are compared as whole numbers of cases: 0.07 * 100 must not ask for an eighth.
    wanted = np.maximum(1, np.ceil(np.round(GRID * cases, 6)))
    place = np.searchsorted(found, wanted)
    return np.asarray(found[place] / (step[place] + 1), dtype=np.float64)


def precision_recall(
    truth: Indicator, probability: Floats, names: tuple[str, ...], shown: list[int]
) -> PrecisionRecall:
    """Curves of all labels together, and of those in the columns ``shown``."""
    curves = np.stack(
        [precision_at_recall(truth[:, k], probability[:, k]) for k in range(len(names))]
    )
    supported = curves[~np.isnan(curves[:, 0])]
    macro = supported.mean(axis=0) if len(supported) else np.zeros(len(GRID))
    micro = np.nan_to_num(precision_at_recall(truth.ravel(), probability.ravel()))
    return PrecisionRecall(
        recall=_rounded(GRID),
        micro=_rounded(micro),
        macro=_rounded(macro),
        labels={names[k]: _rounded(curves[k]) for k in shown if truth[:, k].any()},
    )


def reliability(truth: Indicator, probability: Floats, bins: int) -> Reliability:
    """The reliability diagram over all decisions."""
    parts = Binned(*(part.sum(axis=1) for part in bin_decisions(truth, probability, bins)))
    return Reliability(
        decisions=tuple(int(count) for count in parts.decisions),
        confidence=_rounded(ratio(parts.confidence, parts.decisions)),
        true=_rounded(ratio(parts.true, parts.decisions)),
    )


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in np.round(values, 6))

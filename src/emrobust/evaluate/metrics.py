"""The measures themselves: pure functions of NumPy arrays.

Conventions, the same everywhere in this room:

* F1, precision and recall are 0 where they are undefined, as scikit-learn's
  ``zero_division=0``. Macro means average over the whole label set, so a label that has
  neither a case nor a prediction counts as 0.
* Average precision is NaN for a label without a case; macro PR-AUC leaves such labels out.
* Bins of the calibration error are equally wide, closed on the left: ``[0, .1), … [.9, 1]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indicator = NDArray[np.uint8]

# Labels sorted at once by `average_precision`: bounds its memory to some 100 MB.
_SORTED_AT_ONCE = 2_000_000


class Counts(NamedTuple):
    """Right and wrong decisions of every label: int64 [..., K] each."""

    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]

    def total(self) -> Counts:
        """The same, summed over labels (for micro averages)."""
        return Counts(*(part.sum(axis=-1) for part in self))


def ratio(numerator: NDArray[np.generic], denominator: NDArray[np.generic]) -> Floats:
    """Elementwise quotient in float64; 0 where the denominator is 0."""
    top = np.asarray(numerator, dtype=np.float64)
    bottom = np.asarray(denominator, dtype=np.float64)
    return np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=bottom != 0)


def count(truth: Indicator, predicted: Indicator) -> Counts:
    """Count decisions of [n, K] indicators, per label."""
    tp = np.count_nonzero(truth & predicted, axis=0).astype(np.int64)
    fp = np.count_nonzero(predicted, axis=0) - tp
    return Counts(tp, fp, np.count_nonzero(truth, axis=0) - tp)


def precision(counts: Counts) -> Floats:
    """Share of the predicted that is true; 0 without a prediction."""
    return ratio(counts.tp, counts.tp + counts.fp)


def recall(counts: Counts) -> Floats:
    """Share of the true that is predicted; 0 without a case."""
    return ratio(counts.tp, counts.tp + counts.fn)


def f1(counts: Counts) -> Floats:
    """Harmonic mean of precision and recall; 0 without a case and a prediction."""
    return ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def average_precision(truth: Indicator, probability: Floats) -> Floats:
    """Area under the precision-recall curve as a step function, [K]; NaN without a case.

    Equal to scikit-learn's ``average_precision_score``: equal scores are one step.
    """
    step = max(1, _SORTED_AT_ONCE // max(len(truth), 1))
    parts = [
        _average_precision(truth[:, start : start + step], probability[:, start : start + step])
        for start in range(0, truth.shape[1], step)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _average_precision(truth: Indicator, probability: Floats) -> Floats:
    order = np.argsort(-probability, axis=0, kind="stable")
    score = np.take_along_axis(probability, order, axis=0)
    positive = np.take_along_axis(truth, order, axis=0)
    end = ends_of_ties(score)
    found = np.take_along_axis(np.cumsum(positive, axis=0, dtype=np.float64), end, axis=0)
    cases = positive.sum(axis=0, dtype=np.float64)
    area = (positive * (found / (end + 1))).sum(axis=0)
    mean: Floats = np.divide(area, cases, out=np.full(len(cases), np.nan), where=cases > 0)
    return mean


def ends_of_ties(score: Floats) -> NDArray[np.int64]:
    """For sorted scores [n, K]: the last position of each position's group of equals."""
    n = len(score)
    last = np.full(score.shape, n - 1, dtype=np.int64)
    positions = np.broadcast_to(np.arange(n - 1)[:, None], (max(n - 1, 0), score.shape[1]))
    last[:-1] = np.where(score[1:] != score[:-1], positions, n - 1)
    return np.minimum.accumulate(last[::-1], axis=0)[::-1]


def bin_of(probability: Floats, bins: int) -> NDArray[np.int64]:
    """Which of ``bins`` equal-width bins holds each probability."""
    return np.minimum((probability * bins).astype(np.int64), bins - 1)


class Binned(NamedTuple):
    """Decisions by bin of probability: float64 [bins] or [bins, K] each."""

    decisions: Floats
    confidence: Floats
    true: Floats

    def error(self) -> Floats:
        """Expected calibration error: mean over decisions of |mean probability - share true|."""
        gap = np.abs(self.confidence - self.true).sum(axis=0)
        return ratio(gap, self.decisions.sum(axis=0))


def bin_decisions(truth: Indicator, probability: Floats, bins: int) -> Binned:
    """Per label and bin: number of decisions, summed probability, number of true: [bins, K]."""
    labels = probability.shape[1]
    place = (bin_of(probability, bins) * labels + np.arange(labels)).ravel()

    def total(weights: NDArray[np.generic] | None) -> Floats:
        flat = None if weights is None else weights.ravel()
        counted = np.bincount(place, weights=flat, minlength=bins * labels)
        return counted.astype(np.float64).reshape(bins, labels)

    return Binned(total(None), total(probability), total(truth))


def ece(truth: Indicator, probability: Floats, bins: int = 10) -> float:
    """Expected calibration error over all n x K label decisions (Guo et al. 2017, binary)."""
    parts = bin_decisions(truth, probability, bins)
    return float(Binned(*(part.sum(axis=1) for part in parts)).error())


def ece_mass(truth: Indicator, probability: Floats, bins: int = 10) -> float:
    """Expected calibration error with bins that hold equally many of the n x K decisions.

    Equal-width bins put nearly all decisions of rare labels into one; these do not. Equal
    probabilities stay together, so bins may differ a little in size (Nixon et al. 2019).
    """
    score, hit = probability.ravel(), truth.ravel()
    if not len(score):
        return 0.0
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, score, side="right")
    gap = np.bincount(place, weights=score - hit, minlength=len(edges) + 1)
    return float(np.abs(gap).sum() / len(score))


def brier(truth: Indicator, probability: Floats) -> float:
    """Mean squared difference of probability and truth over all n x K decisions."""
    return float(np.mean((probability - truth) ** 2)) if truth.size else 0.0


def confusions(truth: Indicator, predicted: Indicator) -> NDArray[np.int64]:
    """How often label i was missed in a record where label j was falsely added, [K, K].

    For a single-label task these are the off-diagonal cells of the confusion matrix.
    """
    missed = (truth & ~predicted & 1).astype(np.float64)
    added = (predicted & ~truth & 1).astype(np.float64)
    return np.rint(missed.T @ added).astype(np.int64)

"""From probabilities to yes or no: thresholds that are exactly the best for F1 on given rows.

F1 only changes where the threshold passes a score, so sorting once and cumulating gives the F1
of every possible threshold; no grid, no loop over candidates. A label with few positives would
only learn their noise and takes the global threshold instead, which is why a rare label is not
silently left without predictions.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Kind = Literal["global", "label"]
MIN_POSITIVES = 5
DEFAULT = 0.5


def tune(
    truth: np.ndarray,
    probabilities: np.ndarray,
    kind: Kind = "label",
    min_positives: int = MIN_POSITIVES,
) -> np.ndarray:
    """Thresholds for the decision ``probability >= threshold``, tuned on these rows.

    Args:
        truth: 0 and 1 [rows, labels].
        probabilities: scores in 0–1 [rows, labels].
        kind: one threshold of the best macro-F1, or one a label of the label's best F1.
        min_positives: labels with fewer positives take the global threshold.

    Returns:
        float64 [labels].
    """
    scores = probabilities.astype(np.float64)
    curves = _f1_curves(truth, scores)
    thresholds = np.full(truth.shape[1], _best_global(*curves))
    if kind == "label":
        frequent = truth.sum(0) >= min_positives
        thresholds[frequent] = _best_each(*curves)[frequent]
    return thresholds


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over labels of F1 [rows, labels]; a label without positives that is never
    predicted counts 0, as in scikit-learn with ``zero_division=0``.
    """
    both = (truth.astype(bool) & predicted.astype(bool)).sum(0)
    total = truth.sum(0, dtype=np.int64) + predicted.sum(0, dtype=np.int64)
    return float(np.mean(2 * both / np.maximum(total, 1)))


def _f1_curves(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores from high to low [rows, labels], and F1 when all down to that row are taken."""
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked: np.ndarray = np.take_along_axis(scores, order, axis=0)
    hits = np.cumsum(np.take_along_axis(truth, order, axis=0), axis=0, dtype=np.int64)
    taken = np.arange(1, len(truth) + 1)[:, None]
    f1: np.ndarray = 2 * hits / np.maximum(taken + hits[-1:], 1)
    return ranked, f1


def _between(ranked: np.ndarray) -> np.ndarray:
    """Thresholds that take everything down to each row: midway to the next score."""
    following = np.concatenate([ranked[1:], np.zeros_like(ranked[:1])])
    middle = (ranked + following) / 2
    return np.where(middle > following, middle, ranked)


def _best_each(ranked: np.ndarray, f1: np.ndarray) -> np.ndarray:
    last_of_ties = np.ones(f1.shape, dtype=bool)
    last_of_ties[:-1] = ranked[:-1] != ranked[1:]
    best = np.where(last_of_ties, f1, -1.0).argmax(0)
    labels = np.arange(f1.shape[1])
    return np.asarray(_between(ranked)[best, labels])


def _best_global(ranked: np.ndarray, f1: np.ndarray) -> float:
    """Pass one threshold down through the scores of all labels together."""
    gains = np.diff(f1, axis=0, prepend=0.0).ravel()
    scores = ranked.ravel()
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    total = np.cumsum(gains[order])
    ends = np.append(scores[:-1] != scores[1:], True)
    best = int(np.where(ends, total, -np.inf).argmax())
    return float(_between(scores[:, None])[best, 0])

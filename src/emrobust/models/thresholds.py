"""From probabilities to yes or no: thresholds of the best F1 that the given rows lead to expect.

F1 only changes where the threshold passes a score, so sorting once and cumulating gives the F1
of every possible threshold; no grid, no loop over candidates.

A label with thirty positives among the rows would teach its threshold their noise. So what is
maximised for a label is its *expected* F1 (the plug-in of Ye et al. 2012, "Optimizing F-measures: a
tale of two approaches", and Lipton et al. 2014): each row counts partly by its label and partly by
its calibrated probability; the more positives there are, the more by the label. On tables of this
project that is worth two points of macro-F1 and one of micro-F1 (dev/log.md).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

Kind = Literal["global", "label"]
DEFAULT = 0.5
# With n positives a row counts n / (n + _MANY) by its label.
_MANY = 300
# Probabilities are kept this far from 0 and 1: nearer ones are rounding of float32.
_LEAST = 1e-7
_LEAST_SLOPE = 0.05
# So many rows tell slope and shifts well enough.
_SAMPLE = 20_000


def tune(truth: np.ndarray, probabilities: np.ndarray, kind: Kind = "label") -> np.ndarray:
    """Thresholds for the decision ``probability >= threshold``, tuned on these rows.

    Args:
        truth: 0 and 1 [rows, labels].
        probabilities: scores in 0–1 [rows, labels].
        kind: one threshold of the best macro-F1, or one a label of the label's best expected F1.

    Returns:
        float64 [labels].
    """
    scores = probabilities.astype(np.float64)
    if kind == "global":
        return np.full(truth.shape[1], _best_global(*_f1_curves(truth, scores)))
    return _best_each(*_f1_curves(expect(truth, scores), scores))


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over labels of F1 [rows, labels]; a label without positives that is never
    predicted counts 0, as in scikit-learn with ``zero_division=0``.
    """
    both = (truth.astype(bool) & predicted.astype(bool)).sum(0)
    total = truth.sum(0, dtype=np.int64) + predicted.sum(0, dtype=np.int64)
    return float(np.mean(2 * both / np.maximum(total, 1)))


def expect(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """How much each row counts as a positive of each label, in 0–1, float64 [rows, labels].

    Args:
        truth: 0 and 1 [rows, labels].
        scores: probabilities as the model gave them [rows, labels].
    """
    positives = truth.sum(0, dtype=np.int64)
    share = positives / (positives + _MANY)
    return np.asarray(share * truth + (1 - share) * _calibrate(truth, scores))


def _calibrate(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Probabilities by Platt's scaling: one slope, and a shift a label, near the common one.

    A label's shift has a normal prior of variance 1 round the common one.
    """
    odds = logit(scores.clip(_LEAST, 1 - _LEAST))
    every = max(-(-len(odds) // _SAMPLE), 1)
    given, known = odds[::every], truth[::every]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        slope, common, own = values[0], values[1], values[2:]
        scaled = slope * given + common + own
        off = expit(scaled) - known
        total = (np.logaddexp(0.0, scaled) - known * scaled).sum() + own @ own / 2
        return total, np.concatenate([[(off * given).sum(), off.sum()], off.sum(0) + own])

    start = np.concatenate([[1.0], np.zeros(1 + truth.shape[1])])
    bounds = [(_LEAST_SLOPE, None)] + [(None, None)] * (len(start) - 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return np.asarray(expit(found[0] * odds + found[1] + found[2:]))


def _f1_curves(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores from high to low [rows, labels], and F1 when all down to that row are taken."""
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked: np.ndarray = np.take_along_axis(scores, order, axis=0)
    hits = np.cumsum(np.take_along_axis(truth, order, axis=0), axis=0, dtype=np.float64)
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

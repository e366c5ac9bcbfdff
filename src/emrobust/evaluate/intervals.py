"""Intervals by resampling patients, without a loop over records.

Visits of one patient are alike, so patients are drawn with replacement, each with all their
rows (the cluster bootstrap). A draw is a vector of how often each patient was drawn; the
counts of a resampled table are those of the table weighted by it. F1 adds up whole numbers,
so it is exact: equal to scoring each resampled table. ECE, Brier score and accuracy are a
matrix product of draws and per-patient sums. Macro PR-AUC weights each label's ranking.

Cost of 1,000 draws of 10,000 x 50 on two cores: see ``bench/bootstrap.py`` for F1; all
measures together take about a second, most of it for PR-AUC.

Limit: a label with very few cases is missing from some draws and scores 0 there, as it would
in scikit-learn. That pulls macro-F1 down in nearly every draw; `centred` takes it out of
intervals.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import ndtr  # scipy.stats would load for a second

from emrobust import rng
from emrobust.evaluate.metrics import Floats, Indicator, bin_of, ratio
from emrobust.evaluate.predictions import Predictions

# Draws that share a generator: making one costs as much as drawing some thousand patients.
_BLOCK = 8
# Cells of the matrix of draws that are held at once.
_CHUNK_CELLS = 4_000_000
# So many draws beyond zero give a p-value that can be counted.
_FEW_DRAWS = 10


class Resampled(NamedTuple):
    """Scores of every draw.

    Attributes:
        scores: measure → float64 [draws].
        label_f1: float64 [draws, K].
    """

    scores: dict[str, Floats]
    label_f1: Floats


def draws(seed: int, patients: int, resamples: int) -> Iterator[NDArray[np.int64]]:
    """Yield ``resamples`` draws: how often each patient was drawn, int64 [patients].

    A draw depends on the seed and its number only, so two runs on the same records get the
    same draws.
    """
    for start in range(0, resamples, _BLOCK):
        stream = rng.generator(seed, "bootstrap", start)
        block = stream.integers(0, patients, (_BLOCK, patients), dtype=np.uint32)
        for drawn in block[: resamples - start]:
            yield np.bincount(drawn, minlength=patients)


def chunks(
    seed: int, patients: int, resamples: int, dtype: type[np.floating]
) -> Iterator[NDArray[np.floating]]:
    """The draws as matrices [some, patients] of bounded size."""
    size = max(1, min(resamples, _CHUNK_CELLS // patients))
    chunk = np.empty((size, patients), dtype=dtype)
    filled = 0
    for drawn in draws(seed, patients, resamples):
        chunk[filled] = drawn
        filled += 1
        if filled == size:
            yield chunk
            filled = 0
    if filled:
        yield chunk[:filled]


def by_patient(
    values: NDArray[np.floating], patient: NDArray[np.int64], patients: int
) -> NDArray[np.floating]:
    """Sum rows [n, m] over each patient's records: [patients, m]."""
    rows = np.arange(len(patient))
    member = sparse.csr_array(
        (np.ones(len(patient), dtype=values.dtype), (patient, rows)), (patients, len(patient))
    )
    return np.asarray(member @ values)


class _Entries(NamedTuple):
    """Cells of an indicator that are 1, by column: whose they are, and where columns start."""

    patient: NDArray[np.int64]
    starts: NDArray[np.int64]
    columns: NDArray[np.int64]


def _entries(indicator: NDArray[np.uint8], patient: NDArray[np.int64]) -> _Entries:
    column, row = np.nonzero(indicator.T)
    present, starts = np.unique(column, return_index=True)
    return _Entries(patient[row], starts, present)


def _summed(weight: NDArray[np.int64], entries: _Entries, into: NDArray[np.int64]) -> None:
    """Add up the weights of each column's entries; columns without one stay 0."""
    if len(entries.columns):
        into[entries.columns] = np.add.reduceat(weight[entries.patient], entries.starts)


def resample_f1(
    truth: Indicator,
    predicted: Indicator,
    patient: NDArray[np.int64],
    *,
    resamples: int,
    seed: int,
    patients: int | None = None,
) -> tuple[Floats, Floats]:
    """F1 of each draw and label, and micro-F1 of each draw.

    Most decisions are right and negative and play no part in F1: only true positives and
    wrong decisions are added up, so the time grows with the labels that there are.

    Args:
        truth: uint8 [n, K].
        predicted: uint8 [n, K].
        patient: int64 [n], patients numbered from 0 without gaps.
        resamples: the number of draws.
        seed: names the draws.
        patients: how many there are; absent: those of these rows. Given for a part of the
            records, so that it gets the draws of the whole.

    Returns:
        float64 [resamples, K] (its mean over labels is macro-F1) and float64 [resamples].
    """
    found, wrong = np.zeros((2, resamples, truth.shape[1]), dtype=np.int64)
    right_cells = _entries(truth & predicted, patient)
    wrong_cells = _entries(truth ^ predicted, patient)
    known = int(patient.max()) + 1 if patients is None else patients
    for number, weight in enumerate(draws(seed, known, resamples)):
        _summed(weight, right_cells, found[number])
        _summed(weight, wrong_cells, wrong[number])
    either = 2 * found + wrong
    return ratio(2 * found, either), ratio(2 * found.sum(axis=1), either.sum(axis=1))


def resample(predictions: Predictions, *, resamples: int, seed: int, bins: int) -> Resampled:
    """All scores of `evaluation` for each draw of patients.

    Args:
        predictions: what is measured.
        resamples: the number of draws, at least 1.
        seed: the same seed and records give the same draws, whatever the model.
        bins: of the calibration error.
    """
    label_f1, micro = resample_f1(
        predictions.truth,
        predictions.predicted,
        predictions.patient,
        resamples=resamples,
        seed=seed,
    )
    scores = {"macro_f1": label_f1.mean(axis=1), "micro_f1": micro}
    scores |= _resample_sums(predictions, resamples, seed, bins)
    scores["pr_auc_macro"] = _resample_average_precision(predictions, resamples, seed)
    return Resampled(scores, label_f1)


def _resample_sums(
    predictions: Predictions, resamples: int, seed: int, bins: int
) -> dict[str, Floats]:
    """ECE, Brier score and (single-label) accuracy of each draw."""
    truth, probability = predictions.truth, predictions.probability
    gaps = np.zeros((predictions.n, bins))
    rows = np.broadcast_to(np.arange(predictions.n)[:, None], truth.shape)
    np.add.at(gaps, (rows, bin_of(probability, bins)), probability - truth)
    columns = [
        gaps,
        ((probability - truth) ** 2).sum(axis=1, keepdims=True),
        (truth & predictions.predicted).sum(axis=1, keepdims=True).astype(np.float64),
        np.ones((predictions.n, 1)),
    ]
    parts = by_patient(np.hstack(columns), predictions.patient, predictions.patients)
    sums = np.concatenate(
        [chunk @ parts for chunk in chunks(seed, predictions.patients, resamples, np.float64)]
    )
    rows_drawn = sums[:, -1]
    decisions = rows_drawn * truth.shape[1]
    scores = {
        "ece": np.abs(sums[:, :bins]).sum(axis=1) / decisions,
        "brier": sums[:, bins] / decisions,
    }
    if predictions.task == "single":
        scores["accuracy"] = sums[:, bins + 1] / rows_drawn
    return scores


def _resample_average_precision(predictions: Predictions, resamples: int, seed: int) -> Floats:
    """Macro PR-AUC of each draw; labels without a case in a draw are left out of its mean."""
    ranked = [
        _rank_segments(predictions, label)
        for label in np.flatnonzero(predictions.truth.any(axis=0))
    ]
    means = []
    for chunk in chunks(seed, predictions.patients, resamples, np.float32):
        weights = np.ascontiguousarray(chunk.T)
        total, known = np.zeros(len(chunk)), np.zeros(len(chunk))
        for everyone, positive in ranked:
            found = np.cumsum(positive @ weights, axis=0, dtype=np.float64)
            seen = np.cumsum(everyone @ weights, axis=0, dtype=np.float64)
            gained = np.diff(found, axis=0, prepend=0.0)
            cases = found[-1]
            total += ratio((gained * ratio(found, seen)).sum(axis=0), cases)
            known += cases > 0
        means.append(ratio(total, known))
    return np.concatenate(means)


def _rank_segments(
    predictions: Predictions, label: np.int64
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """One label's ranking, cut after each group of equal scores that holds a case.

    Returns:
        how many rows, and how many cases, each patient has in each segment,
        [segments, patients] twice.
    """
    score, truth = predictions.probability[:, label], predictions.truth[:, label]
    # Scores of cases, highest first: a row belongs to the first of them that is not above it.
    cuts = np.unique(-score[truth == 1])
    segment = np.searchsorted(cuts, -score, side="left")
    inside = segment < len(cuts)
    shape = (len(cuts), predictions.patients)

    def members(rows: NDArray[np.bool_]) -> sparse.csr_array:
        ones = np.ones(int(rows.sum()), dtype=np.float32)
        return sparse.csr_array((ones, (segment[rows], predictions.patient[rows])), shape)

    return members(inside), members(truth == 1)


def centred(scores: Floats, estimate: float) -> Floats:
    """The draws' scores, shifted by their bias: their mean becomes the sample's own score.

    Resampling loses rare labels from some draws, which pulls macro-F1 down in nearly every
    draw: plain percentiles may then miss the score they belong to. The shift is the bootstrap's
    estimate of that bias (Davison and Hinkley 1997, section 2.1.2).
    """
    shifted: Floats = scores + (estimate - scores.mean())
    return shifted


def percentile(scores: Floats, confidence: float) -> tuple[float, float]:
    """The middle ``confidence`` of the draws' scores."""
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(scores, (tail, 1.0 - tail))
    return float(low), float(high)


def two_sided_p(differences: Floats) -> float:
    """Two-sided bootstrap p-value of no difference: twice the smaller tail, at most 1.

    Each tail counts draws at or beyond zero, plus one (so that p is never 0).
    """
    below = np.count_nonzero(differences <= 0.0) + 1
    above = np.count_nonzero(differences >= 0.0) + 1
    return float(min(1.0, 2 * min(below, above) / (len(differences) + 1)))


def tail_p(differences: Floats) -> float:
    """`two_sided_p`, by the normal distribution where too few draws lie beyond zero to count.

    A thousand draws cannot tell p = 0.002 from p = 0.00001, so that after a correction for
    thirty comparisons nothing could ever be significant. Where fewer than ten draws lie beyond
    zero, p comes from the draws' mean and standard deviation, and is never above the counted one.
    """
    counted = two_sided_p(differences)
    deviation = float(differences.std())
    if counted * (len(differences) + 1) > 2 * _FEW_DRAWS or not deviation:
        return counted
    return min(counted, float(2 * ndtr(-abs(float(differences.mean())) / deviation)))

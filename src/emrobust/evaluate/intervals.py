"""Intervals by resampling patients, without a loop over records.

Visits of one patient are alike, so patients are drawn with replacement, each with all their
rows (the cluster bootstrap). A draw is a vector of how often each patient was drawn; every
count-based measure of all draws is then a matrix product of draws and per-patient counts.
Counts are whole numbers, so the product is exact: equal to scoring each resampled table.

Cost on two cores for 1,000 draws of 10,000 x 50: see ``bench/bootstrap.py``. F1, ECE, Brier
and accuracy are sums; macro PR-AUC needs a weighted ranking for each label, costs
``draws x records x labels`` steps and some seconds at that size.

Limit: a label with very few cases is missing from some draws and scores 0 there, as it would
in scikit-learn, so percentile intervals of macro-F1 lean downwards when many labels are rare.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from emrobust import rng
from emrobust.evaluate.metrics import Floats, Indicator, bin_of, ratio
from emrobust.evaluate.predictions import Predictions

# float32 holds every whole number up to here.
_EXACT_FLOAT32 = 2**24
# Cells of the matrix of draws that are held at once.
_CHUNK_CELLS = 4_000_000


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
    for number in range(resamples):
        stream = rng.generator(seed, "bootstrap", number)
        drawn = stream.integers(0, patients, patients, dtype=np.uint32)
        yield np.bincount(drawn, minlength=patients)


def _chunks(
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


def _f1_parts(
    truth: Indicator, predicted: Indicator, patient: NDArray[np.int64], patients: int
) -> NDArray[np.floating]:
    """Per patient: true positives, and cases plus predictions, [patients, 2K], exact.

    F1 is twice the former over the latter.
    """
    counts = np.hstack([truth & predicted, truth + predicted]).astype(np.float32)
    summed = by_patient(counts, patient, patients)
    most = patients * float(summed.max(initial=0.0))
    return summed.astype(np.float32 if most < _EXACT_FLOAT32 else np.float64)


def _f1_of_sums(sums: NDArray[np.floating], labels: int) -> tuple[Floats, Floats]:
    """F1 of each draw and label [draws, K], and micro-F1 [draws]."""
    # In float64 from here: sums over labels may pass what float32 holds exactly.
    found, either = sums[:, :labels].astype(np.float64), sums[:, labels:].astype(np.float64)
    return ratio(2 * found, either), ratio(2 * found.sum(axis=1), either.sum(axis=1))


def resample_f1(
    truth: Indicator,
    predicted: Indicator,
    patient: NDArray[np.int64],
    *,
    resamples: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """F1 of each draw and label, and micro-F1 of each draw.

    Args:
        truth: uint8 [n, K].
        predicted: uint8 [n, K].
        patient: int64 [n], patients numbered from 0 without gaps.
        resamples: the number of draws.
        seed: names the draws.

    Returns:
        float64 [resamples, K] (its mean over labels is macro-F1) and float64 [resamples].
    """
    labels, patients = truth.shape[1], int(patient.max()) + 1
    parts = _f1_parts(truth, predicted, patient, patients)
    dtype = parts.dtype.type
    scored = [
        _f1_of_sums(chunk @ parts, labels) for chunk in _chunks(seed, patients, resamples, dtype)
    ]
    per_label, micro = zip(*scored, strict=True)
    return np.concatenate(per_label), np.concatenate(micro)


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
        [chunk @ parts for chunk in _chunks(seed, predictions.patients, resamples, np.float64)]
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
    for chunk in _chunks(seed, predictions.patients, resamples, np.float32):
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

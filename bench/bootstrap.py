"""Bootstrap of macro-F1 by patient against a loop over scikit-learn's f1_score.

1,000 draws of 10,000 records x 50 labels. The worst case for us is one record a patient
(``ours``); four records a patient is reported beside it. The peer scores a few of the very
same draws and its time is extrapolated to 1,000: ``peer_draws`` says how many it ran, and
``largest_difference`` how far the two are apart on them.

Usage: bench/bootstrap.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from emrobust import rng
from emrobust.evaluate import intervals

RECORDS, LABELS, DRAWS, SEED = 10_000, 50, 1_000, 7


def simulate() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Truth and predictions with a long tail and some errors."""
    stream = rng.generator(SEED, "bench", "bootstrap")
    share = 0.3 / np.arange(1, LABELS + 1)
    truth = stream.random((RECORDS, LABELS)) < share
    wrong = stream.random((RECORDS, LABELS)) < 0.3 * share
    return truth.astype(np.uint8), (truth ^ wrong).astype(np.uint8)


def ours(
    truth: NDArray[np.uint8], predicted: NDArray[np.uint8], patient: NDArray[np.int64]
) -> tuple[float, NDArray[np.float64]]:
    start = time.perf_counter()
    per_label, _ = intervals.resample_f1(truth, predicted, patient, resamples=DRAWS, seed=SEED)
    macro = per_label.mean(axis=1)
    return time.perf_counter() - start, macro


def peer(
    truth: NDArray[np.uint8], predicted: NDArray[np.uint8], weights: list[NDArray[np.int64]]
) -> tuple[float, list[float]]:
    """Seconds a draw, and the scores; one record a patient, so a weight repeats a row."""
    start = time.perf_counter()
    scores = []
    for weight in weights:
        rows = np.repeat(np.arange(RECORDS), weight)
        scores.append(
            float(f1_score(truth[rows], predicted[rows], average="macro", zero_division=0.0))
        )
    return (time.perf_counter() - start) / len(weights), scores


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    rounds, each = (3, 10) if parser.parse_args().quick else (7, 40)
    truth, predicted = simulate()
    alone = np.arange(RECORDS)
    weights = list(intervals.draws(SEED, RECORDS, rounds * each))
    ours(truth, predicted, alone)
    mine, grouped, theirs, apart = [], [], [], 0.0
    for number in range(rounds):
        seconds, macro = ours(truth, predicted, alone)
        mine.append(seconds)
        chosen = slice(number * each, (number + 1) * each)
        a_draw, scores = peer(truth, predicted, weights[chosen])
        theirs.append(a_draw * DRAWS)
        apart = max(apart, float(np.abs(macro[chosen] - scores).max()))
        grouped.append(ours(truth, predicted, alone // 4)[0])
    result = {
        "name": "bootstrap",
        "ours": round(statistics.median(mine), 4),
        "peer": round(statistics.median(theirs), 2),
        "ratio": round(statistics.median(theirs) / statistics.median(mine), 1),
        "unit": f"s for {DRAWS} draws of {RECORDS} x {LABELS}, macro-F1",
        "peer_name": "loop over sklearn.metrics.f1_score, extrapolated",
        "peer_draws": rounds * each,
        "ours_four_records_a_patient": round(statistics.median(grouped), 4),
        "largest_difference": apart,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""Finding wrong codes on the clinic, where they are known: our ranking beside cleanlab's.

The peer is the default multi-label score of cleanlab (``get_label_quality_scores``: the
self-confidence of every label, joined by an exponential moving average over the sorted scores),
computed here so that cleanlab and pandas need not be installed; on the clinic it agreed with
cleanlab 2.9.0 to 1e-16. Both rank the same out-of-fold probabilities.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import average_precision_score

from emrobust import clinic, config, records
from emrobust.labels import read_label_set
from emrobust.pipeline.prepare import LABELS, prepare
from emrobust.quality import find_mislabels, out_of_fold
from emrobust.train import run as training

_ALPHA = 0.8


def cleanlab_scores(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Default multi-label score of cleanlab for each row; low means suspicious."""
    confidence = np.where(truth == 1, probability, 1 - probability)
    ordered = np.sort(confidence, axis=1)[:, ::-1]
    score = ordered[:, 0].copy()
    for column in ordered.T[1:]:
        score = _ALPHA * column + (1 - _ALPHA) * score
    return score


def wrong_codes(truth: Path, record_ids: list[str]) -> np.ndarray:
    """Whether the codes of each visit differ from its diagnoses."""
    table = pq.read_table(truth, columns=["record_id", "true", "observed"]).to_pylist()
    wrong = {row["record_id"]: set(row["true"]) != set(row["observed"]) for row in table}
    return np.array([wrong[record_id] for record_id in record_ids])


def measure(wrong: np.ndarray, order: np.ndarray) -> dict[str, float]:
    """Average precision, precision of the first rows and recall, of rows by suspicion."""
    hits = wrong[order]
    rank = np.empty(len(order))
    rank[order] = -np.arange(len(order))
    found = {"average_precision": float(average_precision_score(wrong, rank))}
    found |= {f"precision_at_{k}": float(hits[:k].mean()) for k in (20, 50, 100, 200)}
    total = int(wrong.sum())
    for times in (1, 2, 3):
        found[f"recall_at_{times}x"] = float(hits[: times * total].sum() / total)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=20260101)
    given = parser.parse_args()
    count = 1_500 if given.quick else given.records
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clinic.generate(folder / "clinic", count, given.seed, workers=1, formats=("sqlite",))
        prepare(config.load(folder / "clinic" / clinic.PROJECT), folder / "data")
        rows = training.read_rows(folder / "data" / LABELS / records.FILE)
        names = read_label_set(folder / "data" / LABELS / training.LABELS).names
        wrong = wrong_codes(folder / "clinic" / "truth.parquet", rows.record_id)
    truth = records.indicator(rows.labels, names)
    probability = out_of_fold(
        rows.texts, truth, rows.patient_id, single=False, folds=3 if given.quick else 5
    )
    found = find_mislabels(truth, probability)
    ours = measure(wrong, np.array([suspect.row for suspect in found.suspects]))
    peer = measure(wrong, np.argsort(cleanlab_scores(truth, probability), kind="stable"))
    sure = np.array([suspect.row for suspect in found.suspects if suspect.confident], dtype=int)
    print(
        json.dumps(
            {
                "name": "wrong codes found",
                "ours": ours["average_precision"],
                "peer": peer["average_precision"],
                "ratio": ours["average_precision"] / peer["average_precision"],
                "unit": "average precision",
                "records": len(wrong),
                "wrong": int(wrong.sum()),
                "detail": {"ours": ours, "cleanlab": peer},
                "confident": {
                    "rows": len(sure),
                    "precision": float(wrong[sure].mean()) if len(sure) else None,
                    "recall": float(wrong[sure].sum() / wrong.sum()),
                },
            }
        )
    )


if __name__ == "__main__":
    main()

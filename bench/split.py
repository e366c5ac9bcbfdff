"""Grouped stratification: ours beside scikit-learn's and the textbook's.

105,000 made-up visits of patients with 1 to 50 visits, 50 labels with a long tail, 80/10/10.

* ours: `emrobust.split.by_groups`.
* peer: scikit-learn's `StratifiedGroupKFold` with ten folds over the label-combination string
  (it knows one label a row), the first fold test, the second validation. It keeps patients whole.
* textbook: iterative stratification (Sechidis et al. 2011) row by row, as the abandoned
  scikit-multilearn does it. It knows no patients.

``--near`` also times the search for near-duplicate texts over as many texts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse
from sklearn.model_selection import StratifiedGroupKFold

from emrobust import records
from emrobust.split import by_groups
from emrobust.split.duplicates import find
from emrobust.split.stratify import deviations, within_bound
from emrobust.split.visits import keys

SHARES = np.array([0.8, 0.1, 0.1])


def make_visits(rows: int, labels: int, seed: int = 0) -> tuple[sparse.csr_array, np.ndarray]:
    """Labels [rows, labels], 1 to 4 a row, and each row's patient [rows]."""
    random = np.random.default_rng(seed)
    many = random.random(rows) < 0.01
    sizes = np.minimum(random.geometric(0.35, rows) + many * random.integers(0, 50, rows), 50)
    patients = np.repeat(np.arange(rows), sizes)[:rows]
    prevalence = 1.0 / np.arange(1, labels + 1) ** 1.5
    prevalence /= prevalence.sum()
    chronic = random.choice(labels, rows, p=prevalence)
    drawn = random.choice(labels, (rows, 4), p=prevalence)
    drawn[:, 0] = np.where(random.random(rows) < 0.5, chronic[patients], drawn[:, 0])
    given = np.arange(4) < random.integers(1, 5, rows)[:, None]
    matrix = sparse.coo_array(
        (np.ones(given.sum()), (np.nonzero(given)[0], drawn[given])), shape=(rows, labels)
    ).tocsr()
    matrix.data[:] = 1.0
    return sparse.csr_array(matrix), patients


def ours(labels: sparse.csr_array, patients: np.ndarray) -> np.ndarray:
    """Parts by this package, the hashing of the patients' ids included."""
    names = [f"patient {n}" for n in range(int(patients.max()) + 1)]
    return by_groups(labels, patients, SHARES, keys(names, 1))


def scikit_learn(labels: sparse.csr_array, patients: np.ndarray) -> np.ndarray:
    """Parts by StratifiedGroupKFold on label combinations."""
    rows = np.split(labels.indices, labels.indptr[1:-1])
    combinations = np.array([",".join(map(str, sorted(row))) for row in rows])
    parts = np.zeros(len(patients), np.int64)
    folds = StratifiedGroupKFold(10, shuffle=True, random_state=1).split(
        combinations, combinations, patients
    )
    for part, (_, rows_of_fold) in zip((2, 1), folds, strict=False):
        parts[rows_of_fold] = part
    return parts


def textbook(labels: sparse.csr_array, patients: np.ndarray) -> np.ndarray:
    """Iterative stratification of single rows, after Sechidis et al. 2011, algorithm 1."""
    random = np.random.default_rng(1)
    of_row = [row.tolist() for row in np.split(labels.indices, labels.indptr[1:-1])]
    with_label: dict[int, set[int]] = defaultdict(set)
    for row, named in enumerate(of_row):
        for label in named:
            with_label[label].add(row)
    wanted = [
        {label: float(share) * len(rows) for label, rows in with_label.items()} for share in SHARES
    ]
    room = [float(share) * len(patients) for share in SHARES]
    parts = np.full(len(patients), -1)

    def place(row: int, part: int) -> None:
        parts[row] = part
        room[part] -= 1
        for label in of_row[row]:
            wanted[part][label] -= 1
            with_label[label].discard(row)

    while left := {label: rows for label, rows in with_label.items() if rows}:
        rarest = min(left, key=lambda label: len(left[label]))
        for row in sorted(with_label[rarest]):
            place(row, max(range(3), key=lambda p: (wanted[p][rarest], room[p], random.random())))
    for bare in np.flatnonzero(parts < 0).tolist():
        place(bare, max(range(3), key=lambda p: room[p]))
    return parts


def quality(labels: sparse.csr_array, patients: np.ndarray, parts: np.ndarray) -> dict[str, Any]:
    """Worst relative deviation of a label's share, labels out of bound, patients crossing."""
    found = deviations(labels, np.ones(len(parts)), parts)
    places = np.unique(patients * 3 + parts) // 3
    return {
        "worst_deviation": round(max(abs(d.relative) for d in found), 4),
        "labels_outside_bound": len({d.label for d in found if not within_bound(d)}),
        "patients_crossing": int((np.bincount(places) > 1).sum()),
    }


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def near_duplicates(rows: int) -> dict[str, Any]:
    """Seconds to find the near-duplicates among made-up texts of about 150 characters."""
    random = np.random.default_rng(0)
    words = ["".join(map(chr, random.integers(0x4E00, 0x9000, 3))) for _ in range(3000)]
    prevalence = 1.0 / np.arange(1, 3001)
    drawn = random.choice(3000, (rows, 50), p=prevalence / prevalence.sum())
    texts = ["".join(words[i] for i in row) for row in drawn]
    planted = rows // 100
    texts[-planted:] = [text[:70] + "痛" + text[71:] for text in texts[:planted]]
    parts = random.choice(3, rows, p=SHARES)
    schema = records.schema(["text"])
    ids = [str(row) for row in range(rows)]
    values = {"record_id": ids, "patient_id": ids, "text_text": texts}
    arrays = [pa.array(values.get(f.name, [None] * rows), f.type) for f in schema]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / records.FILE
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        records.write(path, schema, [batch])
        seconds, found = timed(lambda: find(path, parts, np.arange(rows), 0.9, 1))
    crossing = int((parts[:planted] != parts[-planted:]).sum())
    return {"seconds": round(seconds, 2), "found": found.near_pairs, "planted": crossing}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--near", action="store_true")
    options = parser.parse_args()
    rows, rounds = (5_000, 1) if options.quick else (105_000, 5)
    labels, patients = make_visits(rows, 50)
    methods = {"ours": ours, "scikit_learn": scikit_learn, "textbook": textbook}
    seconds: dict[str, list[float]] = defaultdict(list)
    parts: dict[str, np.ndarray] = {}
    for turn in range(rounds):
        for name, method in methods.items():
            # The slow peer is timed once in the first, third and fifth round.
            if name == "scikit_learn" and turn % 2:
                continue
            took, parts[name] = timed(lambda method=method: method(labels, patients))  # type: ignore[misc] # a lambda's default
            seconds[name].append(took)
            print(f"{name}: {took:.2f} s", flush=True)
    medians = {name: float(np.median(took)) for name, took in seconds.items()}
    result = {
        "name": "split",
        "ours": round(medians["ours"], 3),
        "peer": round(medians["scikit_learn"], 3),
        "ratio": round(medians["scikit_learn"] / medians["ours"], 2),
        "unit": "s",
        "textbook": round(medians["textbook"], 3),
        "ratio_textbook": round(medians["textbook"] / medians["ours"], 2),
        "visits": rows,
        "labels": 50,
        "rarest_label_rows": int(labels.sum(axis=0).min()),
        "quality": {name: quality(labels, patients, parts[name]) for name in methods},
    }
    if options.near:
        result["near_duplicates"] = near_duplicates(rows)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""The synthetic clinic: speed, and the room between the best possible classifier and TF-IDF.

Speed: 105,000 visits in all formats with two processes, against the bound of 60 seconds.
Room: macro-F1 against the observed labels with thresholds tuned on other visits, of the exact
posterior (`emrobust.clinic.ceiling`) and of scikit-learn's character TF-IDF with logistic
regression on 20,000 training visits.

    python bench/clinic.py [--quick]
"""

from __future__ import annotations

import csv
import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from emrobust import records
from emrobust.clinic import ceiling, generate
from emrobust.clinic.chart import write_block
from emrobust.clinic.model import Clinic, build

BOUND = 105_000 / 60  # visits a second
TRAIN, VALIDATION, TEST = 20_000, 5_000, 10_000


def time_generation(visits: int, repeats: int) -> float:
    """Median visits a second, all formats, two processes."""
    seconds = []
    for repeat in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            generate(Path(folder), visits, repeat, workers=2)
            seconds.append(time.perf_counter() - start)
    return visits / statistics.median(seconds)


def best_threshold(score: np.ndarray, target: np.ndarray) -> float:
    """The threshold with the best F1, midway between two scores."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(target[order])
    f1 = 2 * hits / (np.arange(1, len(score) + 1) + target.sum() + 1e-9)
    best = int(f1.argmax())
    after = score[order[min(best + 1, len(score) - 1)]]
    return float((score[order[best]] + after) / 2)


def macro_f1(scores: np.ndarray, targets: np.ndarray) -> float:
    """Macro-F1 of the rows after the first VALIDATION, whose thresholds come from those."""
    tuned = [
        best_threshold(scores[:VALIDATION, k], targets[:VALIDATION, k])
        for k in range(targets.shape[1])
    ]
    predicted = scores[VALIDATION:] > np.array(tuned)
    true = targets[VALIDATION:] > 0
    both = (predicted & true).sum(axis=0)
    f1 = 2 * both / np.maximum(predicted.sum(axis=0) + true.sum(axis=0), 1)
    return float(f1.mean())


def fit_tfidf(texts: list[str], targets: np.ndarray) -> np.ndarray:
    """Scores of the visits after TRAIN."""
    vectorizer = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True, dtype=np.float32
    )
    train = vectorizer.fit_transform(texts[:TRAIN])
    rest = vectorizer.transform(texts[TRAIN:])

    def score(label: int) -> np.ndarray:
        model = LogisticRegression(C=10.0, solver="liblinear", tol=1e-2)
        model.fit(train, targets[:TRAIN, label])
        found: np.ndarray = model.predict_proba(rest)[:, 1]
        return found

    with ThreadPoolExecutor(2) as pool:
        return np.array(list(pool.map(score, range(targets.shape[1])))).T


def measure_room(clinic: Clinic, tfidf: bool) -> dict[str, float]:
    """Ceiling, baseline and the long tail, on whole blocks of one seed."""
    names = clinic.medicine.classes
    visits = TRAIN + VALIDATION + TEST if tfidf else VALIDATION + TEST
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), visits, 20260101, workers=2, formats=("csv",))
        truth = pq.read_table(Path(folder) / "truth.parquet")
        with (Path(folder) / "outpatient.csv").open(encoding="gb18030", newline="") as file:
            texts = ["\n".join(row[7:10]) for row in csv.reader(file)][1:]
    targets = records.indicator(truth["observed"], names)
    held_out = truth.slice(visits - VALIDATION - TEST)
    start = time.perf_counter()
    best = ceiling(held_out, names)
    seconds = time.perf_counter() - start
    common = np.argsort(-targets.sum(axis=0))[:10]
    room = {
        "ceiling_macro_f1": macro_f1(best, targets[-len(best) :]),
        "ceiling_seconds_10000": seconds * 10_000 / len(best),
        "longtail_top10_share_of_visits": float(targets[:, common].any(axis=1).mean()),
        "longtail_rarest_share_of_visits": float(targets.mean(axis=0).min()),
        "labels_a_visit": float(targets.sum(axis=1).mean()),
    }
    if tfidf:
        room["tfidf_macro_f1"] = macro_f1(fit_tfidf(texts, targets), targets[TRAIN:])
    return room


def main() -> None:
    quick = "--quick" in sys.argv
    write_block(build(), 0, 0, 10)  # tables are read once
    ours = time_generation(5_000 if quick else 105_000, 1 if quick else 5)
    facts = {
        "name": "clinic",
        "ours": ours,
        "peer": BOUND,
        "ratio": ours / BOUND,
        "unit": "visits/s, two processes, all formats (peer: the bound, 105,000 in 60 s)",
        **measure_room(build(), tfidf=not quick),
    }
    print(json.dumps(facts, ensure_ascii=False))


if __name__ == "__main__":
    main()

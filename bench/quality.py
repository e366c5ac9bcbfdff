"""Macro-F1 on real tables, several seeds, beside scikit-learn's own pipeline on the same split.

    python bench/quality.py haodf_disease textcnn --data FOLDER [--seeds 3] [--set train.epochs=8]

FOLDER holds the public data sets by the names that the project files in configs/ use. Each seed
makes a new split and a new training. The peer is character (word, for English) TF-IDF with a
linear SVM at scikit-learn's defaults, fitted on training and validation rows together.
``--quick`` measures TF-IDF on a small synthetic clinic, where no FOLDER is needed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from emrobust import clinic, config, records
from emrobust.config import Project
from emrobust.evaluate import run as evaluation
from emrobust.pipeline.prepare import LABELS, prepare
from emrobust.pipeline.train import train
from emrobust.train import run as training

CONFIGS = Path(__file__).parent.parent / "configs"
QUICK_RECORDS = 1_500


def score(project: Project, folder: Path) -> tuple[dict[str, float], float]:
    """Ours on the test split (all its measures), and the peer's macro-F1 on the same rows."""
    prepare(project, folder / "data")
    run = train(project, folder / "run", folder / "data")
    rows = training.read_rows(folder / "data" / LABELS / records.FILE)
    return dict(evaluation.evaluate(run).scores), _peer(project, run, rows)


def _peer(project: Project, run: training.Run, rows: training.Rows) -> float:
    truth = records.indicator(rows.labels, run.names)
    parts = [
        (np.flatnonzero(testing), np.flatnonzero(~testing)) for testing in _tests(project, rows)
    ]
    answered = np.zeros_like(truth)
    for test, fit in parts:
        answered[test] = _svm(project, rows, truth, fit, test)
    tested = np.concatenate([test for test, _ in parts])
    return float(f1_score(truth[tested], answered[tested], average="macro", zero_division=0))


def _tests(project: Project, rows: training.Rows) -> list[np.ndarray]:
    if project.split.folds:
        fold = np.array(rows.fold)
        return [fold == k for k in range(project.split.folds)]
    return [np.array(rows.split) == "test"]


def _svm(
    project: Project, rows: training.Rows, truth: np.ndarray, fit: np.ndarray, test: np.ndarray
) -> np.ndarray:
    english = project.language == "en"
    vectorizer = TfidfVectorizer(
        analyzer="word" if english else "char",
        ngram_range=(1, 2) if english else (1, 3),
        min_df=2,
        sublinear_tf=True,
    )
    features = vectorizer.fit_transform([rows.texts[i] for i in fit])
    unseen = vectorizer.transform([rows.texts[i] for i in test])
    if project.labels.task == "single":
        chosen = LinearSVC(random_state=0).fit(features, truth[fit].argmax(1)).predict(unseen)
        one_hot: np.ndarray = np.eye(truth.shape[1], dtype=np.uint8)[chosen]
        return one_hot
    model = OneVsRestClassifier(LinearSVC(random_state=0)).fit(features, truth[fit])
    answered: np.ndarray = model.predict(unseen).astype(np.uint8)
    return answered


def _project(arguments: argparse.Namespace, seed: int, scratch: Path) -> Project:
    overrides = [f"seed={seed}", f"model.name={arguments.model}", *arguments.set]
    if arguments.quick:
        folder = scratch / f"clinic-{seed}"
        clinic.generate(folder, QUICK_RECORDS, seed, formats=("sqlite",))
        return config.load(folder / clinic.PROJECT, overrides)
    path = CONFIGS / f"{arguments.dataset}.toml"
    relative = config.load(path).source.path
    if relative is None:
        raise SystemExit(f"{path} reads no file")
    inside = relative.relative_to(CONFIGS.absolute())
    return config.load(path, [f"source.path={arguments.data / inside}", *overrides])


def _text(values: list[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):.1f} ± {100 * spread:.1f}"


def main() -> None:
    """Run every seed and print a Markdown row and, last, one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dataset", nargs="?", default="clinic")
    parser.add_argument("model", nargs="?", default="tfidf")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    seeds = range(1, 2 if arguments.quick else arguments.seeds + 1)
    ours, peers, seconds = [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in seeds:
            project = _project(arguments, seed, Path(scratch))
            start = time.monotonic()
            measured, peer = score(project, Path(scratch) / str(seed))
            seconds.append(time.monotonic() - start)
            ours.append(measured)
            peers.append(peer)
            print(f"seed {seed}: {measured['macro_f1']:.4f}, peer {peer:.4f}", flush=True)
    macro = [scores["macro_f1"] for scores in ours]
    micro = [scores["micro_f1"] for scores in ours]
    print(
        f"| {arguments.dataset} | {arguments.model} | {_text(macro)} | {_text(micro)} "
        f"| {_text([s['pr_auc_macro'] for s in ours])} | {_text(peers)} "
        f"| {statistics.median(seconds):.0f} s |"
    )
    print(
        json.dumps(
            {
                "name": f"quality {arguments.dataset} {arguments.model}",
                "ours": statistics.mean(macro),
                "peer": statistics.mean(peers),
                "ratio": statistics.mean(macro) / statistics.mean(peers),
                "unit": "macro-F1 on the test split",
                "ours_by_seed": macro,
                "peer_by_seed": peers,
                "micro_f1_by_seed": micro,
                "peer_is": "scikit-learn TfidfVectorizer + LinearSVC",
            }
        )
    )


if __name__ == "__main__":
    main()

"""What pretraining is worth: the embedded encoder, the same one from random weights, and an SVM.

    python bench/encoder.py haodf_disease|chip_ctc [--data FOLDER] [--seeds 3] [--keep FOLDER]

haodf_disease: each seed splits `train.csv` by text, 80/20. chip_ctc: `train.csv` against
`validation.csv`, each seed a new training. Both encoders get the same texts, recipe and epochs;
the SVM is character (1–3) TF-IDF with scikit-learn's defaults. ``ours`` is the pretrained
encoder's macro-F1, ``peer`` the random one's. Finished trainings are kept in ``--keep``, so that
a run that was stopped goes on. ``--quick`` takes one seed and one epoch of made-up clinic texts.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC
from transformers import AutoConfig, AutoModel, AutoTokenizer

from emrobust import clinic, config, runs
from emrobust.encoder import checkpoint
from emrobust.train import NeuralClassifier

CONFIGS = Path(__file__).parent.parent / "configs"
RECIPE: dict[str, Any] = {
    "epochs": 5,
    "learning_rate": 4e-4,
    "label_smoothing": 0.05,
    "max_length": 160,
}


class Table(NamedTuple):
    """Texts and one class each, to fit and to score."""

    texts: list[str]
    labels: list[str]
    unseen: list[str]
    truth: list[str]


def read(path: Path, name: str) -> tuple[list[str], list[str]]:
    """Texts and labels of a CSV by the columns of the project file ``name``."""
    source = config.load(CONFIGS / f"{name}.toml").source
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = source.columns
    texts = [
        source.separator.join(filter(None, (row[column].strip() for column in columns.text)))
        for row in rows
    ]
    return texts, [row[columns.labels[0]] for row in rows]


def split(texts: list[str], labels: list[str], seed: int) -> Table:
    """80/20; equal texts stay together."""
    different = sorted(set(texts))
    order = np.random.default_rng(seed).permutation(len(different))
    tested = {different[place] for place in order[: len(different) // 5]}
    known = [place for place, text in enumerate(texts) if text not in tested]
    unseen = [place for place, text in enumerate(texts) if text in tested]
    return Table(
        [texts[i] for i in known], [labels[i] for i in known],
        [texts[i] for i in unseen], [labels[i] for i in unseen],
    )  # fmt: skip


def load(name: str, data: Path | None, seed: int, scratch: Path) -> Table:
    if data is None:
        folder = scratch / "clinic"
        clinic.generate(folder, 400, 0, formats=("csv",))
        with (folder / "outpatient.csv").open(encoding="gb18030", newline="") as file:
            rows = list(csv.DictReader(file))
        return split([row["现病史"] for row in rows], [row["科室"] for row in rows], seed)
    if name == "haodf_disease":
        return split(*read(data / "haodf_triage" / "train.csv", name), seed)
    return Table(
        *read(data / "chip_ctc" / "train.csv", name),
        *read(data / "chip_ctc" / "validation.csv", name),
    )


def randomise(folder: Path, target: Path, seed: int) -> Path:
    """The same architecture and tokenizer with weights that never saw text."""
    torch.manual_seed(seed)
    config_of = AutoConfig.from_pretrained(folder)
    AutoModel.from_config(config_of).save_pretrained(target)  # type: ignore[no-untyped-call]
    AutoTokenizer.from_pretrained(folder).save_pretrained(target)
    return target


def fine_tune(table: Table, folder: Path, seed: int, epochs: int) -> dict[str, float]:
    started = time.monotonic()
    model = NeuralClassifier(
        "transformer",
        network_settings={"checkpoint": str(folder), "label_attention": False},
        seed=seed,
        **{**RECIPE, "epochs": epochs},
    )
    model.fit(table.texts, table.labels)
    seconds = time.monotonic() - started
    answered = model.predict(table.unseen)
    return {**score(table, answered), "seconds": seconds}


def svm(table: Table) -> dict[str, float]:
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    model = LinearSVC(random_state=0).fit(vectorizer.fit_transform(table.texts), table.labels)
    return score(table, model.predict(vectorizer.transform(table.unseen)))


def score(table: Table, answered: np.ndarray) -> dict[str, float]:
    return {
        "macro_f1": float(f1_score(table.truth, answered, average="macro", zero_division=0)),
        "micro_f1": float(f1_score(table.truth, answered, average="micro")),
    }


def measure(arm: str, seed: int, options: argparse.Namespace, scratch: Path) -> dict[str, float]:
    """One arm with one seed, taken from ``--keep`` where it is there."""
    folder = checkpoint.locate(options.checkpoint)
    epochs = 1 if options.quick else RECIPE["epochs"]
    weights = runs.checksum(folder / "model.safetensors") if arm == "pretrained" else ""
    key = hashlib.sha256(repr((options.table, arm, seed, RECIPE, epochs, weights)).encode())
    kept = (options.keep or scratch) / f"{key.hexdigest()[:16]}.json"
    if not kept.is_file():
        table = load(options.table, None if options.quick else options.data, seed, scratch)
        if arm == "svm":
            found = svm(table)
        else:
            if arm == "random":
                folder = randomise(folder, scratch / f"random-{seed}", seed)
            found = fine_tune(table, folder, seed, int(epochs))
        runs.write_json(kept, {"arm": arm, "table": options.table, "seed": seed, **found})
    found = runs.read_json(kept)
    print(f"{options.table} seed {seed} {arm}: {found['macro_f1']:.4f}", flush=True)
    return {key: found[key] for key in ("macro_f1", "micro_f1")} | {
        "seconds": found.get("seconds", 0.0)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table", nargs="?", default="haodf_disease")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--checkpoint", default="emrobust/zh-small")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", default="pretrained,random,svm")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    seeds = range(1, 2 if options.quick else options.seeds + 1)
    arms = options.arms.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        found = {
            arm: [measure(arm, seed, options, Path(scratch)) for seed in seeds] for arm in arms
        }
    macro = {arm: [row["macro_f1"] for row in rows] for arm, rows in found.items()}
    ours, peer = macro[arms[0]], macro[arms[min(1, len(arms) - 1)]]
    differences = [a - b for a, b in zip(ours, peer, strict=True)]
    print(
        json.dumps(
            {
                "name": f"pretrained encoder, {options.table}",
                "ours": statistics.mean(ours),
                "peer": statistics.mean(peer),
                "ratio": statistics.mean(ours) / statistics.mean(peer),
                "unit": "macro-F1",
                "arms": macro,
                "difference": statistics.mean(differences),
                "difference_sd": statistics.stdev(differences) if len(differences) > 1 else None,
                "seconds": statistics.median(row["seconds"] for row in found[arms[0]]),
            }
        )
    )


if __name__ == "__main__":
    main()

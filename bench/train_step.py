"""One epoch of fine-tuning the same encoder on the same texts: our loop and `transformers.Trainer`.

Peers: (a) Trainer at its defaults (batches of 8, fp32, padded to the longest of a batch) and (c)
Trainer tuned: bf16, batches grouped by length, our batch size. Texts are tokenised once, outside
the clock, for all. `ratio` is (a) over ours, `ratio_tuned` (c) over ours, of wall-clock medians.

`recipe` is the whole of it in our loop: every text augmented anew in the epoch (the toolbox's usual
shares; those of back-translation go to the others, as no translation model is here) and FreeLB,
K = 3, in every step. `recipe_ratio` is its time over that of (a). What the masked LM fills before
the first epoch, once for all epochs, is told beside it (`recipe_prepare_seconds`).

    python bench/train_step.py [--quick] [--data TABLE.csv --columns complaint,description]
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
    DataCollatorWithPadding,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from emrobust import registry
from emrobust.augment.toolbox import Toolbox
from emrobust.clinic.chart import write_block
from emrobust.clinic.model import build
from emrobust.config import Augment, Train
from emrobust.models.network import Network
from emrobust.train import adversaries, batches, loop, losses
from emrobust.train.augmented import AugmentedTexts
from emrobust.train.mixup import MixUp

CLASSES = 20  # of the made-up texts, and departments of haodf_triage
RATE = 5e-4
BATCH = 32
MAX_LENGTH = 128
SETTINGS = Train(epochs=1, learning_rate=RATE, batch_size=BATCH, warmup=0.0, max_length=MAX_LENGTH)
FREELB = {"name": "freelb", "steps": 3, "warmup_steps": 0}


class Timed(NamedTuple):
    """One epoch: wall-clock and processor seconds, and the mean training loss."""

    wall: float
    processor: float
    loss: float


def make_texts(rows: int) -> tuple[list[str], np.ndarray]:
    """Random ideographs with the lengths of short complaints (median 59, 95 % under 150),
    and a class each, which three characters tell.
    """
    random = np.random.default_rng(0)
    lengths = random.lognormal(np.log(59), 0.57, rows).astype(int).clip(5, 400)
    targets = random.integers(0, CLASSES, rows)
    noise = (0x4E00 + random.zipf(1.3, n).clip(max=3000) for n in lengths)
    told = (chr(0x6000 + k) * 3 for k in targets)
    return [t + "".join(map(chr, n)) for t, n in zip(told, noise, strict=True)], targets


def make_notes(rows: int) -> tuple[list[str], np.ndarray]:
    """Notes of the clinic, of 40 to 120 characters, and a class each, told by three more."""
    clinic, number = build(), 0
    found: list[str] = []
    while len(found) < rows:
        for row in write_block(clinic, 11, number).outpatient:
            found += [text for text in map(str, row[7:10]) if 40 <= len(text) <= 120]
        number += 1
    targets = np.random.default_rng(0).integers(0, CLASSES, rows)
    return [chr(0x6000 + k) * 3 + t for k, t in zip(targets, found, strict=False)], targets


def read_texts(
    path: Path, columns: list[str], label: str, rows: int
) -> tuple[list[str], np.ndarray]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    names = sorted({row[label] for row in table})
    order = np.random.default_rng(0).permutation(len(table))[:rows]
    texts = ["\n".join(table[k][c] for c in columns if table[k][c]) for k in order]
    return texts, np.array([names.index(table[k][label]) for k in order])


def write_tokenizer(folder: Path, texts: list[str], least: int = 0) -> int:
    """A tokenizer of the texts' characters, filled up to so many tokens; how many it knows."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {t: k for k, t in enumerate([*special, *sorted(set("".join(texts).lower()))])}
    vocabulary |= {f"[unused{k}]": k for k in range(len(vocabulary), least)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special[1]))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    roles = {f"{token[1:-1].lower()}_token": token for token in special}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return len(vocabulary)


def write_encoder(folder: Path, texts: list[str]) -> None:
    """A random BERT of 4 layers x 256 with a tokenizer of the texts' characters."""
    size = write_tokenizer(folder, texts)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=size,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
    )
    BertModel(config).save_pretrained(folder)


def open_network(folder: Path, texts: list[str]) -> Network:
    own = {"checkpoint": str(folder), "pooling": "cls", "label_attention": False}
    component: type[Network] = registry.get("model", "transformer")
    return component.new(texts, CLASSES, registry.settings("model", "transformer", own))


def run_ours(folder: Path, texts: list[str], targets: np.ndarray) -> Timed:
    """One epoch of ours."""
    network = open_network(folder, texts)
    tokens = batches.pack(network.encode(texts, MAX_LENGTH))
    data = loop.Data(tokens, np.eye(CLASSES, dtype=np.uint8)[targets])
    wall, processor = time.perf_counter(), time.process_time()
    history = loop.train(network, data, SETTINGS, loss=losses.make("single"), seed=0)
    return Timed(
        time.perf_counter() - wall, time.process_time() - processor, float(history[-1]["loss"] or 0)
    )


def run_recipe(folder: Path, texts: list[str], targets: np.ndarray) -> tuple[Timed, float]:
    """One epoch of the whole recipe, and the seconds of what is done once before the first."""
    network = open_network(folder, texts)
    tokens = batches.pack(network.encode(texts, MAX_LENGTH))
    truth = np.eye(CLASSES, dtype=np.uint8)[targets]
    toolbox = Toolbox(
        Augment(probability=1.0, redistribute=True), texts, truth, 0, batch_size=BATCH
    )
    began = time.perf_counter()
    toolbox.prepare(1)
    prepared = time.perf_counter() - began
    step = MixUp(adversaries.make(FREELB), chooses=toolbox.lots.mixes)
    wall, processor = time.perf_counter(), processor_time()
    with AugmentedTexts(toolbox, tokens, lambda given: network.encode(given, MAX_LENGTH)) as stream:
        data = loop.Data(tokens, truth, stream)
        history = loop.train(network, data, SETTINGS, loss=losses.make("single"), seed=0, step=step)
        lasted = time.perf_counter() - wall
    worked = processor_time() - processor
    return Timed(lasted, worked, float(history[-1]["loss"] or 0)), prepared


def processor_time() -> float:
    """Of this process and of the workers that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + spent.ru_utime + spent.ru_stime


def run_trainer(
    folder: Path, texts: list[str], targets: np.ndarray, tuned: dict[str, Any]
) -> Timed:
    """The same by `transformers.Trainer`."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer(texts, truncation=True, max_length=MAX_LENGTH)["input_ids"]
    rows = [{"input_ids": i, "labels": int(t)} for i, t in zip(encoded, targets, strict=True)]
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=CLASSES)
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            out,
            num_train_epochs=1,
            learning_rate=RATE,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            **tuned,
        )
        trainer = Trainer(model, arguments, DataCollatorWithPadding(tokenizer), train_dataset=rows)
        wall, processor = time.perf_counter(), time.process_time()
        result = trainer.train()
        return Timed(
            time.perf_counter() - wall, time.process_time() - processor, float(result.training_loss)
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--columns", default="complaint,description")
    parser.add_argument("--label", default="department")
    parser.add_argument("--threads", type=int, help="1 measures well on a busy machine")
    parser.add_argument("--texts", type=int)
    parser.add_argument("--rounds", type=int)
    given = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.getLogger("transformers").setLevel(logging.ERROR)
    count = given.texts or (64 if given.quick else 2048)
    if given.data:
        texts, targets = read_texts(given.data, given.columns.split(","), given.label, count)
    else:
        texts, targets = make_notes(count)
    torch.set_num_threads(given.threads or torch.get_num_threads())
    grouped = {
        "bf16": True,
        "train_sampling_strategy": "group_by_length",
        "per_device_train_batch_size": BATCH,
    }
    measured: dict[str, list[Timed]] = {
        "ours": [], "recipe": [], "default": [], "tuned": []
    }  # fmt: skip
    prepared: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_encoder(folder, texts)
        for _ in range(given.rounds or (1 if given.quick else 5)):
            measured["ours"].append(run_ours(folder, texts, targets))
            recipe, once = run_recipe(folder, texts, targets)
            measured["recipe"].append(recipe)
            prepared.append(once)
            measured["default"].append(run_trainer(folder, texts, targets, {}))
            measured["tuned"].append(run_trainer(folder, texts, targets, grouped))
    wall = {k: statistics.median(t.wall for t in v) for k, v in measured.items()}
    processor = {k: statistics.median(t.processor for t in v) for k, v in measured.items()}
    result = {
        "name": "train_step",
        "ours": round(len(texts) / wall["ours"], 1),
        "peer": round(len(texts) / wall["default"], 1),
        "ratio": round(wall["default"] / wall["ours"], 2),
        "unit": "texts/s",
        "ratio_tuned": round(wall["tuned"] / wall["ours"], 2),
        "ratio_processor": round(processor["default"] / processor["ours"], 2),
        "ratio_tuned_processor": round(processor["tuned"] / processor["ours"], 2),
        "recipe_ratio": round(wall["recipe"] / wall["default"], 2),
        "recipe_ratio_processor": round(processor["recipe"] / processor["default"], 2),
        "recipe_prepare_seconds": round(statistics.median(prepared), 1),
        "training_loss": {k: round(v[-1].loss, 4) for k, v in measured.items()},
        "texts": len(texts),
        "threads": torch.get_num_threads(),
        "seconds": {k: [round(t.wall, 2) for t in v] for k, v in measured.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

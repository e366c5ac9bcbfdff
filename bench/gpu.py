"""Fine-tuning a RoBERTa-base-sized encoder on a GPU: our loop and `transformers.Trainer`.

Random weights, 12 layers x 768, a vocabulary of 21,128; the same texts, tokenised outside the
clock. Ours trains plainly and with FreeLB, K = 3, in bf16 (and in fp32, `ours_fp32`); the peer is
Trainer at its defaults. Speeds are of real tokens, padding not counted, after a first epoch that
warms up. `share_of_peak` is what the matrix products of the encoder's layers reach of the speed of
one large bf16 product, measured in the same run; a training pass of FreeLB counts as a plain step.

Ours packs batches by length under a budget of tokens (tight buckets, widths in multiples of 8),
uses the fused optimizer and PyTorch's fused attention, and asks nothing of the GPU within a step.

Without a GPU it says so, and with --quick runs a tiny model on the processor for function alone.

    python bench/gpu.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from emrobust import registry
from emrobust.config import Train
from emrobust.models.network import Network
from emrobust.train import adversaries, batches, loop, losses
from emrobust.train.steps import Step, clean_step
from train_step import CLASSES, MAX_LENGTH, make_texts, write_tokenizer

RATE = 5e-5
STEPS = 3
FREELB = {"name": "freelb", "steps": STEPS, "warmup_steps": 0}
Precision = Literal["fp32", "bf16"]
Texts = tuple[list[str], np.ndarray]


class Size(NamedTuple):
    """Of the encoder, the texts and our batches."""

    layers: int
    width: int
    heads: int
    vocabulary: int
    texts: int
    batch: int
    product: int  # rows and columns of the matrices that measure the peak


BASE = Size(12, 768, 12, 21_128, 8192, 128, 8192)
TINY = Size(2, 64, 2, 4096, 64, 16, 512)


def write_encoder(folder: Path, texts: list[str], size: Size) -> None:
    write_tokenizer(folder, texts, size.vocabulary)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.width,
    )
    BertModel(config).save_pretrained(folder)


def wait(device: torch.device) -> float:
    """The time when all is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def measure_peak(device: torch.device, size: int) -> float:
    """Floating-point operations a second of a large bf16 product: the best of ten."""
    left, right = torch.randn(2, size, size, device=device, dtype=torch.bfloat16)
    seconds = []
    for _ in range(12):
        began = wait(device)
        torch.mm(left, right)
        seconds.append(wait(device) - began)
    return 2 * size**3 / min(seconds[2:])


def operations(size: Size) -> int:
    """Of a training step for each token: 6 for every weight of the layers' matrices.

    The attention's own products, small at these lengths, are left out.
    """
    return 6 * size.layers * 12 * size.width**2


def run_ours(
    folder: Path, data: Texts, size: Size, device: torch.device, kind: tuple[Precision, Step]
) -> float:
    """Tokens a second of the second epoch."""
    (texts, targets), (precision, step) = data, kind
    own = {"checkpoint": str(folder), "pooling": "cls", "label_attention": False}
    component: type[Network] = registry.get("model", "transformer")
    network = component.new(texts, CLASSES, registry.settings("model", "transformer", own))
    tokens = batches.pack(network.encode(texts, MAX_LENGTH))
    rows = loop.Data(tokens, np.eye(CLASSES, dtype=np.uint8)[targets])
    settings = Train(
        epochs=2,
        learning_rate=RATE,
        batch_size=size.batch,
        batch_tokens=size.batch * MAX_LENGTH,
        max_length=MAX_LENGTH,
        precision=precision,
    )
    history = loop.train(
        network.to(device), rows, settings, loss=losses.make("multi").to(device), seed=0, step=step
    )
    return float(history[-1]["tokens_per_second"] or 0)


def run_trainer(folder: Path, data: Texts, device: torch.device) -> float:
    """Tokens a second of Trainer at its defaults."""
    texts, targets = data
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer(texts, truncation=True, max_length=MAX_LENGTH)["input_ids"]
    truth = np.eye(CLASSES, dtype=np.float32)[targets]
    rows = [{"input_ids": i, "labels": t} for i, t in zip(encoded, truth, strict=True)]
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=CLASSES, problem_type="multi_label_classification"
    )
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            out,
            num_train_epochs=1,
            learning_rate=RATE,
            use_cpu=device.type == "cpu",
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        collator = DataCollatorWithPadding(tokenizer)
        Trainer(model, arguments, collator, train_dataset=rows[:64]).train()
        trainer = Trainer(model, arguments, collator, train_dataset=rows)
        began = wait(device)
        trainer.train()
        return sum(map(len, encoded)) / (wait(device) - began)


def measure(size: Size, device: torch.device, rounds: int) -> dict[str, Any]:
    data = make_texts(size.texts)
    native = loop.uses_bf16("auto", device)
    kinds: dict[str, tuple[Precision, Step]] = {"ours_fp32": ("fp32", clean_step)}
    if native:
        kinds["ours"] = ("bf16", clean_step)
        kinds["freelb"] = ("bf16", adversaries.make(FREELB))
    speeds: dict[str, list[float]] = {name: [] for name in (*kinds, "peer")}
    peaks = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_encoder(folder, data[0], size)
        for _ in range(rounds):
            peaks.append(measure_peak(device, size.product))
            speeds["peer"].append(run_trainer(folder, data, device))
            for name, kind in kinds.items():
                speeds[name].append(run_ours(folder, data, size, device, kind))
    middle = {kind: statistics.median(of) for kind, of in speeds.items()}
    peak, cost = statistics.median(peaks), operations(size)
    passes = {"freelb": STEPS}
    ours = middle.get("ours", middle["ours_fp32"])
    return {
        "ours": round(ours),
        "peer": round(middle["peer"]),
        "ratio": round(ours / middle["peer"], 2),
        "tokens_per_second": {kind: round(speed) for kind, speed in middle.items()},
        "peak_tflops": round(peak / 1e12, 2),
        "share_of_peak": {
            kind: round(speed * cost * passes.get(kind, 1) / peak, 3)
            for kind, speed in middle.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    given = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.getLogger("transformers").setLevel(logging.ERROR)
    found = torch.cuda.is_available()
    device = torch.device("cuda" if found else "cpu")
    result: dict[str, Any] = {
        "name": "gpu",
        "unit": "tokens/s",
        "device": torch.cuda.get_device_name() if found else "none: there is no GPU here",
    }
    if found or given.quick:
        size = TINY if given.quick else BASE
        result |= {"model": size._asdict()}
        result |= measure(size, device, given.rounds or (1 if given.quick else 5))
    else:
        result |= {"ours": None, "peer": None, "ratio": None}
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""What adversaries cost: one epoch of the same encoder on the same texts.

written  `freelb_as_written`, K = 5, in our loop, against the seed's appendix as it stands:
         tokenises in the step, pads to the longest, fp32. `ratio`, of texts a second, is to its
         first listing, the same algorithm (K passes for δ and one that trains);
         `ratio_second_listing` to its second, K + 1 full passes (gradients for the parameters
         in every one), which is what issue 4 bounds.
costs    each adversary's time over that of plain training, in our own loop (`costs`); the cheap
         one is `partial_fgm`.
Ratios of processor time stand beside those of wall-clock time: they hold on a busy machine too.
memory   peak memory of FreeLB, K = 3, over that of plain training, each in a process of its own
         (`memory_ratio`; `memory_ratio_training` leaves out what stood before the first step).

    python bench/adversary.py [--quick] [--data TABLE.csv --columns complaint,description]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from emrobust import registry
from emrobust.config import Train
from emrobust.models.network import Network
from emrobust.train import adversaries, batches, loop, losses
from emrobust.train.steps import Step, clean_step
from train_step import BATCH, CLASSES, MAX_LENGTH, RATE, make_texts, read_texts, write_encoder

CHEAP = "partial_fgm"
STEPS = 5
WRITTEN = {
    "name": "freelb_as_written",
    "steps": STEPS,
    "alpha": 1.0,
}  # the listing has no clean pass
FREELB = {"name": "freelb", "steps": 3}
Texts = tuple[list[str], np.ndarray]
Forward = Callable[[torch.Tensor], torch.Tensor]
Ascend = Callable[[Forward, torch.Tensor, torch.Tensor], torch.Tensor]


class Timed(NamedTuple):
    """Seconds of one epoch."""

    wall: float
    processor: float


def clock() -> Timed:
    return Timed(time.perf_counter(), time.process_time())


def since(began: Timed) -> Timed:
    now = clock()
    return Timed(now.wall - began.wall, now.processor - began.processor)


def median(taken: list[Timed]) -> Timed:
    return Timed(*(statistics.median(seconds) for seconds in zip(*taken, strict=True)))


def step_of(given: dict[str, Any] | None) -> Step:
    return clean_step if given is None else adversaries.make({"warmup_steps": 0, **given})


def run_ours(
    folder: Path, data: Texts, given: dict[str, Any] | None, ready: Callable[[], Any] = bool
) -> Timed:
    """One epoch of our loop; ``ready`` is called when the clock starts."""
    texts, targets = data
    own = {"checkpoint": str(folder), "pooling": "cls", "label_attention": False}
    component: type[Network] = registry.get("model", "transformer")
    network = component.new(texts, CLASSES, registry.settings("model", "transformer", own))
    tokens = batches.pack(network.encode(texts, MAX_LENGTH))
    rows = loop.Data(tokens, np.eye(CLASSES, dtype=np.uint8)[targets])
    train = Train(epochs=1, learning_rate=RATE, batch_size=BATCH, warmup=0.0, max_length=MAX_LENGTH)
    step = step_of(given)
    ready()
    began = clock()
    loop.train(network, rows, train, loss=losses.make("multi"), seed=0, step=step)
    return since(began)


def ascend_alone(logits_of: Forward, labels: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """The first listing: sign steps of 1e-3 clipped to 1e-5, whose gradients reach δ only."""
    delta = torch.zeros_like(shape, requires_grad=True)
    for _ in range(STEPS):
        loss = functional.binary_cross_entropy_with_logits(logits_of(delta), labels)
        gradient = torch.autograd.grad(loss, delta)[0]
        delta = (delta + 1e-3 * gradient.sign()).clamp(-1e-5, 1e-5).detach().requires_grad_()
    return delta


def ascend_accumulating(
    logits_of: Forward, labels: torch.Tensor, shape: torch.Tensor
) -> torch.Tensor:
    """The second: L2 steps of 1e-2 in a ball of 1e-5, whose gradients reach the parameters too."""
    delta = torch.empty_like(shape).uniform_(-1e-5, 1e-5).requires_grad_()
    for _ in range(STEPS):
        loss = functional.binary_cross_entropy_with_logits(logits_of(delta), labels) / STEPS
        gradient = backward(loss, delta)
        with torch.no_grad():
            delta += 1e-2 * gradient / gradient.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
            norm = delta.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
            delta *= (1e-5 / norm).clamp_max(1)
    return delta


def backward(loss: torch.Tensor, leaf: torch.Tensor) -> torch.Tensor:
    """All gradients; that of the leaf is given back and forgotten."""
    leaf.grad = None
    loss.backward()  # type: ignore[no-untyped-call]  # PyTorch's own
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def run_appendix(folder: Path, data: Texts, ascend: Ascend) -> Timed:
    """One epoch of a listing of the seed's appendix, on the CPU."""
    texts, targets = data
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=CLASSES).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    truth = torch.eye(CLASSES)[torch.from_numpy(targets)]
    order = np.random.default_rng(0).permutation(len(texts))
    began = clock()
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        inputs = tokenizer(
            [texts[row] for row in rows],
            padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt",
        )  # fmt: skip
        labels, mask = truth[rows], inputs["attention_mask"]
        embeddings = model.get_input_embeddings()(inputs["input_ids"]).detach()
        optimizer.zero_grad()

        def logits_of(
            delta: torch.Tensor, start: torch.Tensor = embeddings, mask: torch.Tensor = mask
        ) -> torch.Tensor:
            logits: torch.Tensor = model(inputs_embeds=start + delta, attention_mask=mask).logits
            return logits

        delta = ascend(logits_of, labels, embeddings)
        backward(functional.binary_cross_entropy_with_logits(logits_of(delta), labels), delta)
        optimizer.step()
    return since(began)


def measure_written(folder: Path, data: Texts, rounds: int) -> dict[str, Any]:
    ours, peer, second = [], [], []
    for _ in range(rounds):
        ours.append(run_ours(folder, data, WRITTEN))
        peer.append(run_appendix(folder, data, ascend_alone))
        second.append(run_appendix(folder, data, ascend_accumulating))
    seconds, theirs, others = median(ours), median(peer), median(second)
    return {
        "ours": round(len(data[0]) / seconds.wall, 1),
        "peer": round(len(data[0]) / theirs.wall, 1),
        "ratio": round(theirs.wall / seconds.wall, 2),
        "unit": "texts/s",
        "ratio_second_listing": round(others.wall / seconds.wall, 2),
        "ratio_processor": round(theirs.processor / seconds.processor, 2),
        "ratio_second_listing_processor": round(others.processor / seconds.processor, 2),
        "seconds": {
            "ours": [round(t.wall, 2) for t in ours],
            "first_listing": [round(t.wall, 2) for t in peer],
            "second_listing": [round(t.wall, 2) for t in second],
        },
    }


def measure_costs(folder: Path, data: Texts, rounds: int, names: list[str]) -> dict[str, Any]:
    seconds: dict[str, list[Timed]] = {name: [] for name in ["plain", *names]}
    for _ in range(rounds):
        for name, taken in seconds.items():
            given = None if name == "plain" else {"name": name}
            taken.append(run_ours(folder, data, given))
    middle = {name: median(taken) for name, taken in seconds.items()}
    plain = middle["plain"]
    return {
        "costs": {n: round(middle[n].wall / plain.wall, 2) for n in names},
        "costs_processor": {n: round(middle[n].processor / plain.processor, 2) for n in names},
        "cheap": CHEAP,
        "plain_seconds": round(plain.wall, 2),
    }


def measure_memory(arguments: list[str]) -> dict[str, Any]:
    peaks = {}
    for name, given in (("plain", None), ("freelb", FREELB)):
        command = [sys.executable, __file__, *arguments, "--peak", json.dumps(given)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[name] = json.loads(done.stdout.splitlines()[-1])
    plain, freelb = peaks["plain"], peaks["freelb"]
    grown = {name: peak["after"] - peak["before"] for name, peak in peaks.items()}
    return {
        "memory_ratio": round(freelb["after"] / plain["after"], 3),
        "memory_ratio_training": round(grown["freelb"] / max(grown["plain"], 1), 3),
        "peak_mb": {name: round(peak["after"] / 1024) for name, peak in peaks.items()},
    }


def print_peak(folder: Path, data: Texts, given: dict[str, Any] | None) -> None:
    """The largest resident memory of this process, in KiB, before the first step and at the end.

    Of Linux's own count, since `getrusage` begins with the peak of the process that started it.
    """
    seen = {}

    def note(when: str) -> None:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        seen[when] = int(status.partition("VmHWM:")[2].split()[0])

    run_ours(folder, data, given, lambda: note("before"))
    note("after")
    print(json.dumps(seen))


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--columns", default="complaint,description")
    parser.add_argument("--label", default="department")
    parser.add_argument("--threads", type=int, help="1 measures well on a busy machine")
    parser.add_argument("--texts", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    return parser.parse_args(), sys.argv[1:]


def main() -> None:
    given, arguments = parse()
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.getLogger("transformers").setLevel(logging.ERROR)
    count = given.texts or (64 if given.quick else 512)
    rounds = given.rounds or (1 if given.quick else 5)
    if given.data:
        data = read_texts(given.data, given.columns.split(","), given.label, count)
    else:
        data = make_texts(count)
    torch.set_num_threads(given.threads or torch.get_num_threads())
    names = ["freelb", CHEAP] if given.quick else list(registry.names("adversary"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_encoder(folder, data[0])
        if given.peak:
            print_peak(folder, data, json.loads(given.peak))
            return
        result = {
            "name": "adversary",
            **measure_written(folder, data, rounds),
            **measure_costs(folder, data, rounds, names),
            **measure_memory(arguments),
            "texts": len(data[0]),
            "threads": torch.get_num_threads(),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

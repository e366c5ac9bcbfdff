"""Texts a second, and milliseconds of one text: a package's engine beside `transformers.pipeline`.

    python bench/inference.py [--quick] [--data TABLE.csv --columns complaint,description]
                              [--size small|base] [--run RUN --prepared FOLDER] [--threads 2]

Both sides have the same weights (the embedded encoder, random ones of RoBERTa-base's size, or a
run's) and the same tokenizer, cut texts at 128 tokens, and start from strings. The peer is fp32 in
PyTorch with its own batching: a text at a time (its default), and in batches of 32; ``peer`` is the
better of the two. ``ours`` is the quicker of fp32 and int8 by ONNX Runtime, as a package chooses by
its self-test. ``variants`` are the texts a second of both, and of PyTorch in bf16 with our sorting.
Without ``--data`` the texts are the made-up clinic's. ``--run`` adds what int8 does to macro-F1 on
a run's test records.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, BertConfig, BertModel, PreTrainedModel, pipeline
from transformers.modeling_outputs import SequenceClassifierOutput

from emrobust import records, registry
from emrobust.clinic.chart import write_block
from emrobust.clinic.model import build
from emrobust.encoder import checkpoint, embedded
from emrobust.models.thresholds import macro_f1
from emrobust.models.transformer import Transformer
from emrobust.onnx import engine, graph
from emrobust.package import export, layout, load, tokens
from emrobust.pipeline.prepare import LABELS
from emrobust.train import batches
from emrobust.train import run as training

MAX_LENGTH = 128
OUTPUTS = 61  # diseases of haodf_triage
PEER_BATCH = 32

Answer = Callable[[Sequence[str]], np.ndarray]


class Classifier(PreTrainedModel):  # type: ignore[no-untyped-call]  # transformers' own
    """The network as `transformers.pipeline` takes it: transformers' own encoder and attention."""

    _supports_sdpa = True

    def __init__(self, network: Transformer, encoder: PreTrainedModel) -> None:
        super().__init__(encoder.config)
        self.encoder = encoder
        self.network = [network]  # in a list, so that it is no part of this module
        self.config.id2label = {k: str(k) for k in range(network.head.out_features)}
        self.config.num_labels = network.head.out_features

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any
    ) -> SequenceClassifierOutput:
        """Logits, from the states as the network makes them."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        logits = self.network[0].judge(states.last_hidden_state, attention_mask.bool())
        return SequenceClassifierOutput(logits=logits)


def make_peer(network: Transformer) -> Callable[..., Any]:
    """A text-classification pipeline with the network's weights."""
    with tempfile.TemporaryDirectory() as folder, checkpoint.quiet():
        network.encoder.save_pretrained(folder)
        encoder = AutoModel.from_pretrained(folder, dtype="float32", attn_implementation="sdpa")
    model = Classifier(network, checkpoint.without_pooler(encoder))
    model.train(mode=False)
    with checkpoint.quiet():
        made: Callable[..., Any] = pipeline(
            "text-classification", model=model, tokenizer=network.tokenizer, device="cpu"
        )
    return made


def make_network(run: Path | None, size: str) -> Transformer:
    """A run's network; or, with a random head, the embedded encoder or one of the other size."""
    if run is not None:
        network = getattr(training.load(run).estimator(), "network_", None)
        if not isinstance(network, Transformer):
            raise SystemExit(f"{run} is no run of a transformer")
        return network.cpu().eval()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder, checkpoint.quiet():
        name = embedded.NAME
        if size == "base":
            name = folder
            tokenizer = checkpoint.read_tokenizer(embedded.folder())
            tokenizer.save_pretrained(folder)
            BertModel(BertConfig(vocab_size=len(tokenizer))).save_pretrained(folder)
        settings = registry.settings("model", "transformer", {"checkpoint": name})
        return Transformer.new(["头痛三天"], OUTPUTS, settings).eval()


def read_texts(path: Path | None, columns: Sequence[str], count: int) -> list[str]:
    """Texts of a table, or of the clinic."""
    if path is None:
        rows = write_block(build(), 11, 0, count).outpatient
        return ["\n".join(str(field) for field in row[7:9]) for row in rows]
    with path.open(encoding="utf-8-sig", newline="") as file:
        found = ["\n".join(row[name] for name in columns) for row in csv.DictReader(file)]
    return found[:count]


def make_ours(
    network: Transformer, folder: Path, threads: int, batch_tokens: int
) -> dict[str, tuple[Answer, engine.Session]]:
    """fp32 and int8 as a package holds them, and one session of each for single texts."""
    graph.write_fp32(network, folder / layout.FP32)
    graph.write_int8(folder / layout.FP32, folder / layout.INT8)
    network.tokenizer.backend_tokenizer.save(str(folder / layout.TOKENIZER))
    encode = tokens.SubwordEncoder(folder / layout.TOKENIZER, MAX_LENGTH)
    pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def open_one(name: str) -> tuple[Answer, engine.Session]:
        many = engine.Session(folder / name, network.pad)

        def answer(texts: Sequence[str]) -> np.ndarray:
            return engine.compute(many, encode(texts), pool, batch_tokens=batch_tokens)

        return answer, engine.Session(folder / name, network.pad, threads)

    return {"fp32": open_one(layout.FP32), "int8": open_one(layout.INT8)}


def make_bf16(network: Transformer) -> Answer:
    """PyTorch in bf16, sorted by length as ours is."""

    def answer(texts: Sequence[str]) -> np.ndarray:
        packed = batches.pack(network.encode(texts, MAX_LENGTH))
        found = np.empty((len(texts), network.head.out_features), dtype=np.float32)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for rows in batches.by_length(packed.lengths, batch_size=128, batch_tokens=4096):
                ids, mask = batches.pad(packed, rows, network.pad)
                found[rows] = network(ids, mask).float().numpy()
        return found

    return answer


def time_all(sides: dict[str, Answer], texts: list[str], repeats: int) -> dict[str, float]:
    """Texts a second of each side, medians; the sides take turns."""
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for answer in sides.values():
        answer(texts[:64])
    for _ in range(repeats):
        for name, answer in sides.items():
            start = time.perf_counter()
            answer(texts)
            spent[name].append(time.perf_counter() - start)
    return {name: len(texts) / statistics.median(seconds) for name, seconds in spent.items()}


def time_single(
    session: engine.Session, encode: tokens.Encode, texts: list[str]
) -> dict[str, float]:
    """Milliseconds from a string to logits, a text at a time."""
    spent = []
    for text in texts:
        start = time.perf_counter()
        session.run(encode([text]))
        spent.append((time.perf_counter() - start) * 1e3)
    return {f"p{q}": round(float(np.percentile(spent, q)), 2) for q in (50, 99)}


def measure_loss(run: Path, prepared: Path) -> dict[str, float]:
    """Macro-F1 of the run's test records in fp32 and int8, and the difference in points."""
    loaded = training.load(run)
    rows = training.read_rows(prepared / LABELS / records.FILE)
    rows = rows.take([k for k, split in enumerate(rows.split) if split == "test"])
    truth = records.indicator(rows.labels, loaded.names)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        export.export(run, Path(folder) / "package")
        for precision in ("fp32", "int8"):
            package = load(Path(folder) / "package", precision=precision)
            decided = package.decide(package.predict_proba(rows.texts))
            found[f"macro_f1_{precision}"] = macro_f1(truth, decided.astype(bool))
    found["int8_loss_points"] = (found["macro_f1_fp32"] - found["macro_f1_int8"]) * 100
    return {"test_records": len(rows.texts), **{k: round(v, 4) for k, v in found.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--columns", default="complaint,description")
    parser.add_argument("--size", choices=("small", "base"), default="small")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--prepared", type=Path)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--batch-tokens", type=int, default=engine.BATCH_TOKENS)
    parser.add_argument("--texts", type=int)
    given = parser.parse_args()
    threads = engine.count_threads(given.threads)
    torch.set_num_threads(threads)
    texts = read_texts(
        given.data, given.columns.split(","), given.texts or (16 if given.quick else 1024)
    )
    network = make_network(given.run, given.size)
    with tempfile.TemporaryDirectory() as folder:
        ours = make_ours(network, Path(folder), threads, given.batch_tokens)
        encode = tokens.SubwordEncoder(Path(folder) / layout.TOKENIZER, MAX_LENGTH)
        peer = make_peer(network)
        cut = {"truncation": True, "max_length": MAX_LENGTH, "function_to_apply": "none"}
        sides: dict[str, Answer] = {
            **{name: answer for name, (answer, _) in ours.items()},
            "torch_bf16": make_bf16(network),
            "pipeline_1": lambda some: peer(list(some), **cut),
            "pipeline_32": lambda some: peer(list(some), batch_size=PEER_BATCH, **cut),
        }
        speed = time_all(sides, texts, 1 if given.quick else 5)
        single = {name: time_single(one, encode, texts[:400]) for name, (_, one) in ours.items()}
        top = np.array([int(row["label"]) for row in peer(texts[:64], **cut)])
        alike = float((ours["fp32"][0](texts[:64]).argmax(1) == top).mean())
    chosen = max(ours, key=speed.__getitem__)
    best = max(speed["pipeline_1"], speed["pipeline_32"])
    print(
        json.dumps(
            {
                "name": "inference",
                "ours": round(speed[chosen], 1),
                "peer": round(best, 1),
                "ratio": round(speed[chosen] / best, 2),
                "unit": "texts/s",
                "chosen": chosen,
                "ratio_unbatched": round(speed[chosen] / speed["pipeline_1"], 2),
                "ratio_batches_of_32": round(speed[chosen] / speed["pipeline_32"], 2),
                "variants": {name: round(value, 1) for name, value in speed.items()},
                "single_ms": single,
                "same_answers": alike,
                "texts": len(texts),
                "threads": threads,
                **(measure_loss(given.run, given.prepared) if given.run and given.prepared else {}),
            }
        )
    )


if __name__ == "__main__":
    main()

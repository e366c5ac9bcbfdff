"""Pretraining the same encoder on the same text: our loop and a plain PyTorch loop.

The peer is what one writes first: Hugging Face's BertForMaskedLM, shuffled texts padded to the
longest of a batch, 15 % of the tokens hidden one by one, logits at every position, AdamW, bf16.
Ours does masked language modelling alone here (`ratio`), and with the co-occurrence vectors that
it learns from by default (`ratio_with_vectors`). Speeds are of real tokens, padding not counted.

    python bench/pretrain.py [--quick] [--data TEXT_FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, PreTrainedTokenizerBase

from emrobust import clinic, config
from emrobust.encoder import corpus, tokenizer
from emrobust.pipeline.prepare import prepare
from emrobust.pipeline.pretrain import pretrain

LENGTH, TOKENS, SEED = 128, 8192, 0


def make_text(folder: Path, visits: int) -> Path:
    """Notes of the synthetic clinic, prepared."""
    clinic.generate(folder / "clinic", visits, SEED, formats=("sqlite",))
    prepare(config.load(folder / "clinic" / "project.toml"), folder / "data")
    return folder / "data"


def peer(texts: list[str], words: PreTrainedTokenizerBase, steps: int) -> float:
    """Tokens a second of the plain loop, the first steps left out."""
    torch.manual_seed(SEED)
    shape = BertConfig(
        vocab_size=-(-len(words) // 8) * 8,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
    )
    model = BertForMaskedLM(shape).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    random = np.random.default_rng(SEED)
    mean = statistics.mean(len(text) for text in texts)
    rows = int(TOKENS / min(mean, LENGTH))
    read, started = 0, 0.0
    for step in range(steps + 2):
        if step == 2:
            read, started = 0, time.perf_counter()
        batch = words(
            [texts[place] for place in random.integers(0, len(texts), rows)],
            truncation=True, max_length=LENGTH, padding=True, return_tensors="pt",
        )  # fmt: skip
        ids, mask = batch["input_ids"], batch["attention_mask"]
        hidden = (torch.rand(ids.shape) < 0.15) & mask.bool()
        labels = ids.masked_fill(~hidden, -100)
        ids = ids.masked_fill(hidden & (torch.rand(ids.shape) < 0.8), words.mask_token_id or 0)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        read += int(mask.sum())
    return read / (time.perf_counter() - started)


def ours(source: Path, out: Path, steps: int, *, vectors: bool) -> float:
    """Tokens a second of our loop's second half."""
    history = pretrain(
        [source],
        out,
        [f"steps={2 * steps}", "evaluations=2", f"batch_tokens={TOKENS}", f"length={LENGTH}",
         f"cooccurrence={float(vectors)}", "held_out=0.002"],
        deidentified=True,
        seed=SEED,
    )  # fmt: skip
    return float(history[-1]["tokens_per_second"] or 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    repeats, steps, visits = (1, 2, 500) if options.quick else (5, 12, 20_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = options.data or make_text(folder, visits)
        texts = list(corpus.read([source]))
        tokenizer.save(tokenizer.learn(texts), folder / "words", 512)
        words = AutoTokenizer.from_pretrained(folder / "words")
        speeds: dict[str, list[float]] = {"ours": [], "with_vectors": [], "peer": []}
        for repeat in range(repeats):
            speeds["peer"].append(peer(texts, words, steps))
            speeds["ours"].append(ours(source, folder / f"{repeat}a", steps, vectors=False))
            speeds["with_vectors"].append(ours(source, folder / f"{repeat}b", steps, vectors=True))
    median = {key: statistics.median(values) for key, values in speeds.items()}
    print(
        json.dumps(
            {
                "name": "pretraining",
                "ours": round(median["ours"]),
                "peer": round(median["peer"]),
                "ratio": round(median["ours"] / median["peer"], 2),
                "unit": "tokens/s",
                "with_vectors": round(median["with_vectors"]),
                "ratio_with_vectors": round(median["with_vectors"] / median["peer"], 2),
                "repeats": repeats,
            }
        )
    )


if __name__ == "__main__":
    main()

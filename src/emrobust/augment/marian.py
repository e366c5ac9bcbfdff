"""There and back by two Marian checkpoints (Junczys-Dowmunt et al. 2018), sentence by sentence.

Any pair of the kind ``Helsinki-NLP/opus-mt-zh-en`` and ``…-en-zh``, from a folder or by hub name.
The likeliest word at each place, no beam and nothing random: the same text gives the same answer.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, MarianMTModel, MarianTokenizer

from emrobust import runs
from emrobust.augment.cache import key
from emrobust.encoder import checkpoint
from emrobust.errors import ModelError

_SENTENCE = re.compile(r"[^。！？!?；;\n]*[。！？!?；;\n]*")
_TOKENS = 4096
_LONGEST = 256
_SAFE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


class Marian:
    """One direction.

    Args:
        name: a folder or a hub name.

    Raises:
        ModelError: it cannot be found, or holds no Marian model with its vocabulary.
    """

    def __init__(self, name: str) -> None:
        folder = checkpoint.locate(name)
        self._tokenizer, model = _read(folder)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model
        nn.Module.to(model, self._device)
        room = int(model.config.max_position_embeddings)
        self._longest = min(_LONGEST, room - 2)
        self.fingerprint = key("marian", runs.checksum(folder))

    def __call__(self, sentences: Sequence[str]) -> list[str]:
        """A translation of each sentence; blank ones stay as they are."""
        done = list(sentences)
        rows = [row for row, sentence in enumerate(sentences) if sentence.strip()]
        ids = {row: self._encode(sentences[row]) for row in rows}
        for batch in _batches(rows, ids):
            for row, words in zip(batch, self._translate([ids[row] for row in batch]), strict=True):
                done[row] = words
        return done

    def _encode(self, sentence: str) -> list[int]:
        given = self._tokenizer(sentence, truncation=True, max_length=self._longest)
        ids: list[int] = given["input_ids"]
        return ids

    @torch.inference_mode()
    def _translate(self, rows: Sequence[list[int]]) -> list[str]:
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self._tokenizer.pad_token_id)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
        ids = ids.to(self._device)
        made = self._model.generate(  # type: ignore[misc]  # transformers types it for decoders
            input_ids=ids,
            attention_mask=(ids != self._tokenizer.pad_token_id).long(),
            num_beams=1,
            do_sample=False,
            max_new_tokens=min(2 * width + 8, self._longest),
            max_length=None,
        )
        words: list[str] = self._tokenizer.batch_decode(made, skip_special_tokens=True)
        return words


class Pair:
    """There by one checkpoint, back by another.

    Args:
        there: from the texts' language into another.
        back: the other way.
    """

    def __init__(self, there: str, back: str) -> None:
        self._there, self._back = Marian(there), Marian(back)
        self.fingerprint = key("pair", self._there.fingerprint, self._back.fingerprint)

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """Each text after its way there and back."""
        parts = [_SENTENCE.findall(text)[:-1] for text in texts]
        flat = [part for of_text in parts for part in of_text]
        back = iter(self._back(self._there(flat)))
        return ["".join(_keep_end(part, next(back)) for part in of_text) for of_text in parts]


def _keep_end(sentence: str, other: str) -> str:
    """The translation with the original's line end, which no tokenizer keeps."""
    end = sentence[len(sentence.rstrip()) :]
    return other.strip() + end if sentence.strip() else sentence


def _batches(rows: Sequence[int], ids: dict[int, list[int]]) -> Iterator[list[int]]:
    """Rows from long to short, as many at once as `_TOKENS` allows."""
    batch: list[int] = []
    for row in sorted(rows, key=lambda row: -len(ids[row])):
        if batch and (len(batch) + 1) * len(ids[batch[0]]) > _TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _read(folder: Path) -> tuple[Any, MarianMTModel]:
    advice = "Give the folder of a pair such as Helsinki-NLP/opus-mt-zh-en, as it was downloaded."
    try:
        kind = AutoConfig.from_pretrained(folder, **_SAFE).model_type
    except (ValueError, OSError, KeyError):
        raise ModelError(f"{folder} has no configuration that can be read", advice) from None
    if kind != "marian":
        raise ModelError(f"{folder} is a {kind!r} model, not a Marian translator", advice)
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{folder} has its weights as pickle only, which could run code when opened",
            f"If you trust its source: `emrobust convert {folder} --out FOLDER`.",
        )
    try:
        with checkpoint.quiet(), warnings.catch_warnings():
            # It recommends sacremoses, which changes punctuation and nothing else.
            warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
            tokenizer = MarianTokenizer.from_pretrained(folder, **_SAFE)
            model = MarianMTModel.from_pretrained(
                folder, use_safetensors=True, dtype="float32", **_SAFE
            )
    except Exception as error:
        # Whatever the reader raises on a damaged file, the message may not hold its content.
        raise ModelError(
            f"the translator in {folder} cannot be read ({type(error).__name__})", advice
        ) from None
    return tokenizer, model.train(False)

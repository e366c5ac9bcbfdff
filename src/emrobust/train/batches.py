"""Batches of texts of about the same length, under a budget of tokens, padded one by one.

Texts are tokenised once and kept as one flat array. The order of an epoch is a pure function of
the seed and the epoch's number, so that training goes on after a crash as if nothing had been.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from emrobust import rng

# Texts are shuffled, then sorted by length within pools of this many batches: wide enough
# that padding nearly vanishes, narrow enough that a batch's companions change every epoch.
_POOL = 64
STRIDE = 8


class Tokens(NamedTuple):
    """The token numbers of many texts, one after another.

    Attributes:
        flat: int32 [all tokens].
        starts: where each text begins, and the end [texts + 1].
    """

    flat: np.ndarray
    starts: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text [texts]."""
        return np.diff(self.starts)


class Batch(NamedTuple):
    """Some texts, padded to the longest of them.

    Attributes:
        ids: token numbers, int64 [rows, tokens].
        mask: true where there is a token [rows, tokens].
        targets: 0 and 1, float32 [rows, labels].
    """

    ids: torch.Tensor
    mask: torch.Tensor
    targets: torch.Tensor


def pack(encoded: Sequence[Sequence[int]]) -> Tokens:
    """Lists of token numbers as one flat array."""
    lengths = np.array([len(ids) for ids in encoded], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    total = (number for ids in encoded for number in ids)
    return Tokens(np.fromiter(total, dtype=np.int32, count=int(starts[-1])), starts)


def plan(
    lengths: np.ndarray, *, batch_size: int, batch_tokens: int, seed: int, epoch: int
) -> list[np.ndarray]:
    """The rows of each batch of an epoch; every row is in exactly one.

    Args:
        lengths: tokens of each text [texts].
        batch_size: most texts in a batch.
        batch_tokens: most tokens in a batch, padding included; a longer text goes alone.
        seed: of the run.
        epoch: its number.
    """
    random = rng.generator(seed, "batches", epoch)
    order = random.permutation(len(lengths))
    batches: list[np.ndarray] = []
    for pool in np.split(order, range(_POOL * batch_size, len(order), _POOL * batch_size)):
        batches += _cut(
            pool[np.argsort(-lengths[pool], kind="stable")], lengths, batch_size, batch_tokens
        )
    return [batches[place] for place in random.permutation(len(batches))]


def by_length(lengths: np.ndarray, *, batch_size: int, batch_tokens: int) -> list[np.ndarray]:
    """All rows from long to short, cut into batches: for prediction, where order is free."""
    return _cut(np.argsort(-lengths, kind="stable"), lengths, batch_size, batch_tokens)


def _cut(
    rows: np.ndarray, lengths: np.ndarray, batch_size: int, batch_tokens: int
) -> list[np.ndarray]:
    """Cut rows that are sorted from long to short; the first of a batch is its longest."""
    batches = []
    start = 0
    while start < len(rows):
        longest = max(int(lengths[rows[start]]), 1)
        size = max(min(batch_size, batch_tokens // longest), 1)
        batches.append(rows[start : start + size])
        start += size
    return batches


def pad(tokens: Tokens, rows: np.ndarray, filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token numbers int64 and mask of these rows [rows, longest of them, rounded up].

    Widths are multiples of `STRIDE`: oneDNN compiles a kernel for every new shape of a
    convolution, which costs more than the few tokens of padding.
    """
    starts, lengths = tokens.starts[rows], tokens.lengths[rows]
    places = np.arange(-(-lengths.max(initial=1) // STRIDE) * STRIDE)
    mask = places < lengths[:, None]
    taken = np.where(mask, starts[:, None] + places, 0)
    ids = np.where(mask, tokens.flat[taken], filler).astype(np.int64)
    return torch.from_numpy(ids), torch.from_numpy(mask)


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on a device, without waiting for what a GPU has still to do.

    From ordinary memory a copy begins when the GPU has done all before it, and the loop waits.
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)

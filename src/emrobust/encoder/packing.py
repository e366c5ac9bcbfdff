"""Passages as rows of at most so many tokens, and rows as batches of about so many tokens.

``passages`` keeps passages apart and batches those of like length, which wastes a few per cent
on padding and lets a row be about one thing. ``full`` joins passages, across their borders, to
rows of the full length (RoBERTa's FULL-SENTENCES, Liu et al. 2019, section 4.2).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from emrobust import rng

Packing = Literal["passages", "full"]
# Kernels are compiled and kept for every new shape: few widths save time and gigabytes.
STRIDE = 8
_SHORTEST = 4
_POOL = 64


class Rows(NamedTuple):
    """Rows as stretches of a corpus's tokens.

    Attributes:
        starts: first token of each row [rows].
        lengths: tokens of each row, special ones not counted [rows].
    """

    starts: np.ndarray
    lengths: np.ndarray


def pack(starts: np.ndarray, packing: Packing, length: int) -> Rows:
    """Cut a corpus into rows.

    Args:
        starts: where each passage begins, and the end [passages + 1].
        packing: see above; long passages are cut into equal parts.
        length: most tokens of a row, special ones not counted.
    """
    borders = starts if packing == "passages" else starts[[0, -1]]
    sizes = np.diff(borders)
    parts = np.maximum(-(-sizes // length), 1)
    step = -(-sizes // parts)
    place = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    begin = np.repeat(borders[:-1], parts) + place * np.repeat(step, parts)
    end = np.minimum(begin + np.repeat(step, parts), np.repeat(borders[1:], parts))
    kept = end - begin >= _SHORTEST
    return Rows(begin[kept], (end - begin)[kept])


def plan(lengths: np.ndarray, tokens: int, seed: int, epoch: int) -> list[np.ndarray]:
    """The rows of each batch of an epoch: like lengths together, no batch over ``tokens``.

    Every row is in exactly one batch; a pure function of the seed and the epoch.
    """
    random = rng.generator(seed, "pretraining", epoch)
    order = random.permutation(len(lengths))
    pool = max(_POOL * tokens // max(int(lengths.mean()), 1), 1)
    batches: list[np.ndarray] = []
    for first in range(0, len(order), pool):
        near = order[first : first + pool]
        batches += _cut(near[np.argsort(lengths[near], kind="stable")], lengths, tokens)
    return [batches[place] for place in random.permutation(len(batches))]


def _cut(rows: np.ndarray, lengths: np.ndarray, tokens: int) -> list[np.ndarray]:
    """Cut rows sorted from short to long, by widths rounded up to `STRIDE`."""
    batches, start = [], 0
    widths = -(-lengths[rows] // STRIDE) * STRIDE
    while start < len(rows):
        # The largest count with count · (widest of them) within the budget.
        fits = np.arange(1, len(rows) - start + 1) * widths[start:] <= tokens
        count = max(int(fits.argmin()) if not fits.all() else len(fits), 1)
        batches.append(rows[start : start + count])
        start += count
    return batches

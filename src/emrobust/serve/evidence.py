"""What in a text speaks for a label: the fall of its log odds when a piece is taken out.

Occlusion asks the model itself, so it holds for every kind of model and needs no gradients. All
shortened texts of a request are read together with what other requests wait for. It sees one
piece's absence at a time: of two pieces that say the same, each looks superfluous
(Zeiler & Fergus 2014, arXiv 1311.2901; Li et al. 2016, arXiv 1612.08220).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from emrobust.serve.catalog import Served
from emrobust.serve.reading import Reading

Level = Literal["word", "clause"]
MOST_PIECES = 96  # neighbours are taken out together beyond
# A comma or stop between digits belongs to a number.
_CLAUSE = re.compile(r"(?:[^\n，。；！？、,.;!?]|(?<=\d)[.,](?=\d))+")
# Probabilities in float32 end here: beyond, the log odds would be infinite.
_LEAST = 1e-7


class Weight(NamedTuple):
    """A range of characters as they were sent; a positive weight speaks for the label."""

    start: int
    end: int
    weight: float
    field: str | None


async def weigh(
    served: Served, read: Reading, columns: Sequence[int], level: Level
) -> list[list[Weight]]:
    """The weights of a text's pieces for some labels, in the text's order.

    What the model does not read has none, and must not move up where something is taken out.

    Args:
        served: the model.
        read: the text.
        columns: of the labels.
        level: words are finer, clauses sooner.

    Raises:
        RefusedError: the queue is full.
    """
    # The first use of words loads their dictionary, so it must not hold the event loop.
    text = read.text[: read.extent]
    pieces = await asyncio.to_thread(lambda: coarsen(list(split(text, level)), MOST_PIECES))
    if not pieces:
        return [[] for _ in columns]
    shorter = [text[:start] + text[end:] for start, end in pieces]
    odds = log_odds(await served.batcher.score([text, *shorter]))[:, list(columns)]
    falls = odds[0] - odds[1:]
    return [
        [
            Weight(place.start, place.end, round(float(fall), 4), place.field)
            for (start, end), fall in zip(pieces, falls[:, column], strict=True)
            for place in read.places(start, end)
        ]
        for column in range(len(columns))
    ]


def split(text: str, level: Level) -> Iterator[tuple[int, int]]:
    """The pieces of a text as half-open ranges, in order; white space at their ends is in none."""
    for start, end in _clauses(text) if level == "clause" else _words(text):
        piece = text[start:end]
        if stripped := piece.strip():
            first = start + piece.index(stripped)
            yield first, first + len(stripped)


def _clauses(text: str) -> Iterator[tuple[int, int]]:
    for found in _CLAUSE.finditer(text):
        yield found.span()


def _words(text: str) -> Iterator[tuple[int, int]]:
    """Words of the dictionary, without marks."""
    # Late: the dictionary takes half a second and 25 MB.
    from emrobust.encoder import words  # noqa: PLC0415

    place = 0
    for word in words.cut(text):
        if any(map(str.isalnum, word)):
            yield place, place + len(word)
        place += len(word)


def coarsen(pieces: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Neighbours joined, where there are too many."""
    size = -(-len(pieces) // most)
    groups = [pieces[at : at + size] for at in range(0, len(pieces), size or 1)]
    return [(group[0][0], group[-1][1]) for group in groups]


def log_odds(probability: np.ndarray) -> np.ndarray:
    """ln(p / (1 − p)), finite."""
    bounded = probability.astype(np.float64).clip(_LEAST, 1 - _LEAST)
    return np.asarray(np.log(bounded) - np.log1p(-bounded))

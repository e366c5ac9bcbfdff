"""The pieces of a text that are scored: characters or words, as ranges of the original."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

import numpy as np

from emrobust.encoder import words
from emrobust.models.vocabulary import locate

Level = Literal["character", "word"]
_NUMBER = re.compile(r"\d+(?:[.．]\d+)?")


class Unit(NamedTuple):
    """A half-open range of characters of the original text."""

    start: int
    end: int


def split(text: str, level: Level) -> list[Unit]:
    """The units of a text in order; white space is in none.

    Characters are ideographs, marks, whole numbers and runs of other letters. Words are those of
    the dictionary with the medical terms; a text without ideographs has its own words.
    """
    if level == "character":
        return _characters(text)
    found = []
    place = 0
    for word in words.cut(text):
        stripped = word.strip()
        if stripped:
            start = place + word.index(stripped)
            found.append(Unit(start, start + len(stripped)))
        place += len(word)
    return found


def _characters(text: str) -> list[Unit]:
    """Digits are tokens of a model one by one, but a reader reads numbers."""
    numbers = [match.span() for match in _NUMBER.finditer(text)]
    inside = np.zeros(len(text) + 1, dtype=bool)
    for start, end in numbers:
        inside[start:end] = True
    rest = [(start, end) for start, end in locate(text) if not inside[start]]
    found: list[Unit] = []
    for start, end in sorted([*numbers, *rest]):
        # A capital that becomes two characters (İ) is two tokens of one range.
        if not found or start >= found[-1].end:
            found.append(Unit(start, end))
    return found


def without(text: str, units: Collection[Unit]) -> str:
    """The text with these units deleted; they don't overlap."""
    pieces = []
    place = 0
    for start, end in sorted(units):
        pieces.append(text[place:start])
        place = end
    pieces.append(text[place:])
    return "".join(pieces)


def spread(
    spans: Sequence[tuple[int, int]], scores: np.ndarray, units: Sequence[Unit], length: int
) -> np.ndarray:
    """Scores of tokens as scores of units, float64 [units].

    A token that several units share is divided by its characters; the sum is kept but for what
    stands on white space and on tokens without a place.

    Args:
        spans: where the tokens stand.
        scores: of the tokens, [tokens].
        units: of the text.
        length: characters of the text.
    """
    total = np.zeros(length + 1)
    for (start, end), score in zip(spans, scores, strict=True):
        if end > start:
            total[start:end] += score / (end - start)
    summed = np.concatenate([[0.0], np.cumsum(total)])
    return np.array([summed[end] - summed[start] for start, end in units])

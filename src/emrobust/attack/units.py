"""Units: the words of a text that an attack may change, each with the edits that would do it."""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

from emrobust.encoder import words
from emrobust.perturb import Edit


class Unit(NamedTuple):
    """A place that is changed by one edit or none.

    Attributes:
        start: where its word begins (or the first of several that an edit spans).
        end: behind its last character.
        edits: what may be done there, the likeliest first.
    """

    start: int
    end: int
    edits: tuple[Edit, ...]


def group(text: str, edits: Iterable[Edit], most: int) -> list[Unit]:
    """Put edits together that touch the same word; units in order of place, at most ``most`` each.

    Args:
        text: the original.
        edits: in order of preference.
        most: edits kept of a unit.
    """
    starts = _starts(text)
    found: list[tuple[int, int, list[Edit]]] = []
    by_place: dict[tuple[int, int], list[Edit]] = {}
    for edit in dict.fromkeys(edits):
        if text[edit.start : edit.end] != edit.text:
            by_place.setdefault(_span(starts, len(text), edit), []).append(edit)
    for (start, end), of_place in sorted(by_place.items()):
        if found and start < found[-1][1]:
            first, last, before = found.pop()
            found.append((first, max(last, end), before + of_place))
        else:
            found.append((start, end, of_place))
    return [Unit(start, end, tuple(_spread(of, most))) for start, end, of in found]


def count_words(text: str) -> int:
    """Words that hold a letter, a digit or an ideograph."""
    return _counted(text)


@functools.lru_cache(maxsize=1024)
def _counted(text: str) -> int:
    return sum(any(map(str.isalnum, word)) for word in words.cut(text))


@functools.lru_cache(maxsize=64)
def _starts(text: str) -> list[int]:
    """Where words begin."""
    return list(accumulate(map(len, words.cut(text)), initial=0))[:-1]


def _span(starts: list[int], length: int, edit: Edit) -> tuple[int, int]:
    """From the beginning of the edit's first word to the end of its last."""
    first = starts[max(bisect_right(starts, edit.start) - 1, 0)]
    behind = bisect_left(starts, max(edit.end, edit.start + 1))
    return first, starts[behind] if behind < len(starts) else length


def _spread(edits: list[Edit], most: int) -> list[Edit]:
    """The first edits of every place inside a unit in turn, so that none is left out."""
    by_place: dict[tuple[int, int], list[Edit]] = {}
    for edit in edits:
        by_place.setdefault((edit.start, edit.end), []).append(edit)
    turns = [
        (turn, place, edit)
        for place, of_place in enumerate(by_place.values())
        for turn, edit in enumerate(of_place)
    ]
    return [edit for _, _, edit in sorted(turns, key=lambda item: item[:2])[:most]]

"""Edits of a text by offsets into the original, and where everything stands afterwards."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple


class Edit(NamedTuple):
    """Replace ``text[start:end]`` by ``text``; an insertion where start equals end.

    Attributes:
        start: offset into the original, in characters.
        end: offset behind the last character that is replaced.
        text: what stands there instead.
    """

    start: int
    end: int
    text: str


def settle(edits: Iterable[Edit]) -> list[Edit]:
    """The edits in order of place, without overlaps: of two that meet, the one given first stays.

    Two edits meet when they replace a common character, when one inserts inside what the other
    replaces, or when both insert at one place. An insertion at the edge of a replaced range
    does not meet it.
    """
    kept: list[Edit] = []
    last = -1
    for edit in edits:
        if not kept or edit[0] > last or (edit[0] == last and not _meet(kept[-1], edit)):
            kept.append(edit)
            last = edit[1]
            continue
        place = bisect_left(kept, edit)
        before = place > 0 and _meet(kept[place - 1], edit)
        if not before and not (place < len(kept) and _meet(edit, kept[place])):
            kept.insert(place, edit)
            last = kept[-1][1]
    return kept


def _meet(first: Edit, second: Edit) -> bool:
    """Whether two edits meet, the first being no later than the second."""
    return second[0] < first[1] or first[0] == first[1] == second[0] == second[1]


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text after the edits; overlaps are resolved by `settle`.

    Raises:
        ValueError: an edit lies outside the text or ends before it starts.
    """
    return join(text, settle(edits))


def join(text: str, settled: Sequence[Edit], start: int = 0, end: int | None = None) -> str:
    """`apply` for edits that `settle` has returned, to ``text[start:end]`` only."""
    end = len(text) if end is None else end
    pieces: list[str] = []
    at = start
    for first, last, new in settled:
        if not at <= first <= last:
            raise ValueError(f"the edit at {first}:{last} ends before it starts")
        pieces += (text[at:first], new)
        at = last
    if at > end:
        raise ValueError(f"the edit that ends at {at} lies outside a text of {end}")
    pieces.append(text[at:end])
    return "".join(pieces)


class Offsets:
    """Where offsets of the original stand after the edits.

    Args:
        settled: edits that `settle` has returned.
    """

    __slots__ = ("_ends", "_shifts", "_starts", "settled")

    def __init__(self, settled: Sequence[Edit]) -> None:
        self.settled = settled
        self._starts = [edit[0] for edit in settled]
        self._ends = [edit[1] for edit in settled]
        growth = (len(new) - (end - start) for start, end, new in settled)
        self._shifts = list(accumulate(growth, initial=0))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span that ``start:end`` has become.

        It grows over a replacement that it has a part in, and never takes up what was
        inserted at its edges.
        """
        first = bisect_right(self._ends, start)
        # Insertions exactly at the start have moved the span, and stand before it.
        if first < len(self._starts) and self._starts[first] < start:
            start = self._starts[first]
        behind = bisect_left(self._starts, end)
        if behind and self._ends[behind - 1] > end:
            end = self._ends[behind - 1]
        return start + self._shifts[first], max(
            end + self._shifts[behind], start + self._shifts[first]
        )

    def place(self, offset: int) -> int:
        """Where the character at ``offset`` has gone; to its replacement's start if replaced."""
        first = bisect_right(self._ends, offset)
        if first < len(self._starts) and self._starts[first] < offset:
            offset = self._starts[first]
        return offset + self._shifts[first]

    def touched(self, start: int, end: int) -> bool:
        """Whether an edit replaces a part of ``start:end`` or inserts inside it."""
        first = bisect_right(self._ends, start)
        return first < len(self._starts) and self._starts[first] < end

    def cover(self, start: int, end: int) -> tuple[int, int]:
        """``start:end`` grown over every replacement that has a part in it."""
        first = bisect_right(self._ends, start)
        if first < len(self._starts):
            start = min(start, self._starts[first]) if self._starts[first] < end else start
        behind = bisect_left(self._starts, end)
        return start, max(end, self._ends[behind - 1]) if behind else end

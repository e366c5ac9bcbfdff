"""Edits of a text, and the way from an edited text back to the original.

Only what changed is remembered: between two changed regions the characters are those of the
original, at a constant distance. Regions are in order and never overlap; an edit of a later
step that overlaps an earlier region joins it.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple


class Edit(NamedTuple):
    """Characters ``[start, end)`` of a step's input become ``text``."""

    start: int
    end: int
    text: str


class Origin(NamedTuple):
    """A changed region: ``[start, end)`` of the new text was ``[first, last)`` of the original."""

    start: int
    end: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Normalized:
    """A normalised text and where its characters come from.

    Attributes:
        text: the new text.
        origins: its changed regions, in order; empty where nothing changed.
    """

    text: str
    origins: tuple[Origin, ...] = ()

    def to_original(self, start: int, end: int) -> tuple[int, int]:
        """The range of the original that gave ``[start, end)`` of the new text.

        A range that cuts a changed region takes the whole of it: the 血 of a 血压 that was BP
        comes from BP. An empty range gives an empty range.

        Raises:
            ValueError: the range does not lie in the text.
        """
        if not 0 <= start <= end <= len(self.text):
            raise ValueError(f"[{start}, {end}) is no range of a text of {len(self.text)}")
        if start < end:
            return self._of(start)[0], self._of(end - 1)[1]
        place = self._of(start)[0] if start < len(self.text) else self._of(start - 1)[1]
        return place, place

    def _of(self, character: int) -> tuple[int, int]:
        """The range of the original that gave one character."""
        after = bisect.bisect_right(self.origins, character, key=attrgetter("end"))
        if after < len(self.origins) and self.origins[after].start <= character:
            return self.origins[after].first, self.origins[after].last
        place = character
        if after:
            place += self.origins[after - 1].last - self.origins[after - 1].end
        return place, place + 1


def apply(text: str, edits: Sequence[Edit]) -> str:
    """The text with all edits made; they are in order and don't overlap."""
    pieces: list[str] = []
    place = 0
    for start, end, new in edits:
        pieces += (text[place:start], new)
        place = end
    pieces.append(text[place:])
    return "".join(pieces)


def compose(origins: Sequence[Origin], edits: Sequence[Edit]) -> tuple[Origin, ...]:
    """The origins of a text after further edits.

    Args:
        origins: of the text before these edits.
        edits: in order, not overlapping; offsets into the text before them.
    """
    # (start, end, growth by this edit, distance to the original behind this region or None)
    marks: list[tuple[int, int, int, int | None]] = [
        (start, end, 0, last - end) for start, end, _, last in origins
    ]
    marks += [(start, end, len(new) - end + start, None) for start, end, new in edits]
    marks.sort(key=lambda mark: mark[:2])
    composed: list[Origin] = []
    grown = distance = place = 0
    while place < len(marks):
        start, end, *_ = marks[place]
        new_start, first = start + grown, start + distance
        while place < len(marks) and (marks[place][0] < end or marks[place][:2] == (start, end)):
            end = max(end, marks[place][1])
            grown += marks[place][2]
            behind = marks[place][3]
            distance = distance if behind is None else behind
            place += 1
        composed.append(Origin(new_start, end + grown, first, end + distance))
    return tuple(composed)

"""Values of other columns of the same row: whatever of them stands in the text."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid.detector import Detector, Row, fold
from emrobust.deid.spans import Span
from emrobust.placeholders import PLACEHOLDERS
from emrobust.registry import register

_SHORTEST = 2
_EDGE = re.compile(r"[A-Za-z0-9]")


@register("detector")
class Known(Detector):
    """What the row says is an identifier; spaces and line breaks inside don't hide it."""

    kinds: ClassVar[tuple[str, ...]] = tuple(PLACEHOLDERS)
    source: ClassVar[str] = "the row's own columns"

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        if not row:
            return []
        return [
            self.span(start, end, 1.0, f"the value of the row's column {kind}", kind)
            for kind, values in row.items()
            for value in values
            for start, end in _occurrences(fold(value).strip(), text)
        ]


def _occurrences(value: str, text: str) -> list[tuple[int, int]]:
    if len(value) < _SHORTEST or value[0] not in text:
        return []
    letters = [re.escape(letter) for letter in value if not letter.isspace()]
    start = r"(?<![A-Za-z0-9])" if _EDGE.match(value) else ""
    end = r"(?![A-Za-z0-9])" if _EDGE.match(value[-1]) else ""
    pattern = start + r"\s*".join(letters) + end
    return [match.span() for match in re.finditer(pattern, text, re.IGNORECASE)]

"""Values of other columns of the same row: whatever of them stands in the text, names in part."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid import known_name
from emrobust.deid.detector import Detector, Row, fold
from emrobust.deid.operator import NAMES
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
        found = []
        for kind, value in ((kind, value) for kind, values in row.items() for value in values):
            evidence = f"the value of the row's column {kind}"
            spellings = known_name.spellings(value) if kind in NAMES else [value]
            found += [
                self.span(*place, 1.0, evidence, kind)
                for spelling in spellings
                for place in _occurrences(fold(spelling).strip(), text)
            ]
            if kind in NAMES:
                found += [
                    self.span(*place, 0.95, f"part of {evidence}", kind)
                    for place in known_name.find(text, value)
                ]
        return found


def _occurrences(value: str, text: str) -> list[tuple[int, int]]:
    if len(value) < _SHORTEST or (value[0].lower() not in text and value[0].upper() not in text):
        return []
    letters = [re.escape(letter) for letter in value if not letter.isspace()]
    start = r"(?<![A-Za-z0-9])" if _EDGE.match(value) else ""
    end = r"(?![A-Za-z0-9])" if _EDGE.match(value[-1]) else ""
    pattern = start + r"\s*".join(letters) + end
    return [match.span() for match in re.finditer(pattern, text, re.IGNORECASE)]

"""Numbers that are known by what stands in front of them: 住院号：…, MRN …."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from emrobust.deid.detector import Detector, Row
from emrobust.deid.spans import Span
from emrobust.deid.tables import alternatives, labels

LINK = (
    r"\s{0,3}(?:号码|编号|号|[Nn][Oo]\b\.?|ID\b|[Nn]umber\b|#)?"
    r"\s{0,3}(?:[:;=#]|是|为|即|\(|is\b)?\s{0,3}"
)
# Letters, then digits with dashes; groups of digits after a blank, unless they are another thing.
NUMBER = (
    r"[A-Za-z]{0,5}[-_]?\d[\dA-Za-z]*+(?:[-_/][\dA-Za-z]++)*+"
    r"(?:[ \n]\d{3,12}(?![\d./%℃年月日岁床次天:-]))*+"
)


def pattern(kind: str, value: str = NUMBER) -> re.Pattern[str]:
    """A label of this kind, a link and the value as group 1; capitals don't matter."""
    return re.compile(rf"{alternatives(labels(kind))}{LINK}({value})")


class Labelled(Detector):
    """A detector of one kind by its labels in ``labels.csv``; more by `more`.

    Attributes:
        value: pattern of the value behind the label.
        score: of a labelled value.
        shortest: how many characters a value has at least.
        shapes: patterns that `more` looks for.
    """

    source: ClassVar[str] = "labels.csv; field names of hospital information systems"
    value: ClassVar[str] = NUMBER
    shortest: ClassVar[int] = 4
    score: ClassVar[float] = 0.96
    shapes: tuple[re.Pattern[str], ...] = ()

    def __init__(self) -> None:
        self._labelled = pattern(self.kinds[0], self.value)
        self.triggers = (self._labelled, *self.shapes)

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        found = [
            self.span(*match.span(1), self.score, "a number behind its field's name")
            for match in self._labelled.finditer(text)
            if match.end(1) - match.start(1) >= self.shortest
        ]
        found.extend(self.more(text))
        return found

    def more(self, text: str) -> Iterable[Span]:
        """Spans known otherwise than by a label."""
        del text
        return ()

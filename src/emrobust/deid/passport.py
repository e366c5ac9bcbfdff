"""Passports: behind 护照, or by the shape of a Chinese one (E12345678, EA1234567)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from emrobust.deid.labelled import Labelled
from emrobust.deid.spans import Span
from emrobust.registry import register

_SHAPE = re.compile(
    r"[DEGPS](?<![A-Za-z0-9].)(?:(?<=[EG])\d{8}|(?<=E)[A-HJ-NP-Z]\d{7}|(?<=[DSP])E?\d{7,8})"
    r"(?![A-Za-z0-9.])"
)


@register("detector")
class Passport(Labelled):
    """A passport's number."""

    kinds: ClassVar[tuple[str, ...]] = ("passport",)
    source: ClassVar[str] = "labels.csv; numbering of Chinese passports"
    shapes = (_SHAPE,)

    def more(self, text: str) -> Iterable[Span]:
        """See `Labelled.more`."""
        for match in _SHAPE.finditer(text):
            yield self.span(*match.span(), 0.6, "the shape of a Chinese passport's number")

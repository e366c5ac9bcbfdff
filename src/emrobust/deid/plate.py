"""Licence plates: 京A·12345, new-energy plates and special ones."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid.detector import Detector, Row
from emrobust.deid.spans import Span
from emrobust.registry import register

_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领]\s?[A-HJ-NP-Z][· -]{0,2}"
    r"(?=[A-Z0-9 ]{0,6}\d[A-Z ]{0,3}\d)"
    r"(?:[A-HJ-NP-Z0-9] ?){4}[A-HJ-NP-Z0-9挂学警港澳](?: ?[A-HJ-NP-Z0-9])?"
    r"(?![A-Za-z0-9.])"
)


@register("detector")
class Plate(Detector):
    """A vehicle's licence plate."""

    kinds: ClassVar[tuple[str, ...]] = ("plate",)
    source: ClassVar[str] = "GA 36-2018"
    triggers = (_PLATE,)

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        return [
            self.span(*match.span(), 0.9, "a province's sign and the shape of a plate")
            for match in _PLATE.finditer(text)
        ]

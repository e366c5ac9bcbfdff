"""Beds: 12床, +5床, 加3床, 床号：03-12, bed 12."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from emrobust.deid.labelled import Labelled
from emrobust.deid.spans import Span
from emrobust.registry import register

# 床旁 is at the bedside, 床垫 a mattress; 500张床 counts them.
_BED = re.compile(
    r"(?<![\d./A-Za-z%第张])(?:[+＋加]\s?|VIP\s?|ICU\s?|[A-Z]-?)?(?:\d{1,3}[A-Za-z]?(?:-\d{1,3})?|[一二三四五六七八九十]{2,3})"
    r"\s?号?病?床(?![旁边位垫被头单上下沿铺挡栏])"
)


@register("detector")
class BedNumber(Labelled):
    """A number before 床 or behind 床号."""

    kinds: ClassVar[tuple[str, ...]] = ("bed_no",)
    source: ClassVar[str] = "labels.csv; ward usage"
    shapes = (_BED,)
    value: ClassVar[str] = (
        r"[+加]?(?:[A-Za-z]{0,2}\d{1,4}[A-Za-z]?(?:-\d{1,3})?)(?![\d.年月张]|\s?(?:day|hour|week|time|min|h\b))床?"
    )
    shortest: ClassVar[int] = 1

    def more(self, text: str) -> Iterable[Span]:
        """See `Labelled.more`."""
        if "床" not in text:
            return
        for match in _BED.finditer(text):
            yield self.span(*match.span(), 0.9, "a number before 床")

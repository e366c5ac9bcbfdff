"""Social-security and medical-insurance numbers; the American SSN."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from emrobust.deid.labelled import NUMBER, Labelled
from emrobust.deid.spans import Span
from emrobust.registry import register

# 000, 666 and 9xx are no areas, 00 no group, 0000 no serial.
_SSN = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")


@register("detector")
class SocialSecurity(Labelled):
    """A number behind 社保号, 医保卡号 and the like; an SSN by its shape."""

    kinds: ClassVar[tuple[str, ...]] = ("social_security",)
    source: ClassVar[str] = "labels.csv; shape of the SSN (Social Security Administration)"
    shapes = (_SSN,)
    value: ClassVar[str] = rf"\d{{3}} \d{{2}} \d{{4}}(?!\d)|{NUMBER}"

    def more(self, text: str) -> Iterable[Span]:
        """See `Labelled.more`."""
        if "-" in text:
            for match in _SSN.finditer(text):
                yield self.span(*match.span(), 0.85, "the shape of an SSN")

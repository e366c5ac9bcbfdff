"""Ages over 89, which are few enough to tell a person (HIPAA's safe harbour)."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid.detector import Detector, Row
from emrobust.deid.spans import Span
from emrobust.registry import register

_OLD = r"(?:9\d|1[0-3]\d)"
_AGE = re.compile(
    rf"(?<![\d.~至到≤≥<>-]){_OLD}\s?(?:周岁|岁)|九旬|百岁(?!山)"
    r"|(?<![一二三四五六七八九十])(?:九十[一二三四五六七八九]?|一百[零一二三四五六七八九十]{0,3})\s?岁"
    rf"|(?<=年龄)[\s:为]{{0,3}}{_OLD}(?![\d.%])"
    rf"|(?<![\d.]){_OLD}[- ]?(?:years?[- ]old|year[- ]olds?|y/?o\b|yrs?\b)"
    rf"|\b[Aa]ged? {_OLD}(?![\d.%])"
)
_HINT = re.compile(r"[91]\d{1,2}\s?-?\s?[周岁y]|年龄|[Aa]ged|九[十旬]|百岁|一百")


@register("detector")
class Age(Detector):
    """An age of 90 or more."""

    kinds: ClassVar[tuple[str, ...]] = ("age",)
    source: ClassVar[str] = "45 CFR 164.514(b)(2)(i)(C)"
    triggers = (_AGE,)

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        if not _HINT.search(text):
            return []
        return [
            self.span(match.start(), match.end(), 0.9, "an age over 89")
            for match in _AGE.finditer(text)
        ]

"""Mobile and landline phones, Chinese and North American; with noise inside."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from emrobust.deid.labelled import Labelled
from emrobust.deid.spans import Span
from emrobust.registry import register

_GAP = r"[ \n-]{0,2}"
_MOBILE = re.compile(
    rf"(?<![\dA-Za-z.])(?:\(?(?:\+|00)?86\)?{_GAP})?1{_GAP}[3-9](?:{_GAP}[\d*]){{9}}(?![\dA-Za-z%])"
)
_LANDLINE = re.compile(
    r"(?<![\dA-Za-z.])(?:(?:\+|00)86[ -]?)?"
    r"(?:\(0(?:10|2\d|[3-9]\d{2})\)|0(?:10|2\d|[3-9]\d{2}))\s?-?\s?[1-9]\d{2,3}[ -]?\d{4}"
    r"(?!\d)(?:\s?(?:转|-|ext\.?)\s?\d{1,5})?"
    r"|(?<![\dA-Za-z.])[48]00[ -]?\d{3,4}[ -]?\d{3,4}(?![\d.])"
    r"|(?<![\d+])\+(?!86)\d{1,3}[ -]?\d{2,4}(?:[ -]?\d{2,4}){2,3}(?!\d)"
    r"|(?<![\dA-Za-z.-])(?:\+?1[ .-])?(?:\([2-9]\d{2}\)\s?|[2-9]\d{2}[.-])"
    r"\d{3}[ .-]\d{4}(?![\d-])(?:\s?(?:x|ext\.?)\s?\d{1,5})?"
)
# Where a number may begin.
# A short run of digits is a phone's only where a gap or a bracket follows.
_SHORTEST_RUN = 7
_BEHIND = frozenset(" -)\n.*")
_RUN = re.compile(r"[\d(+][\d(+]*+")


@register("detector")
class Phone(Labelled):
    """A phone number by its prefix or behind 电话."""

    kinds: ClassVar[tuple[str, ...]] = ("phone",)
    source: ClassVar[str] = "labels.csv; numbering plans of China (YD/T 1166) and North America"
    shapes = (_MOBILE, _LANDLINE)
    value: ClassVar[str] = (
        r"[2-9]\d{2} [2-9]\d{2} \d{4}(?!\d)"
        r"|\+?\(?\d[\d*]{2,13}+(?:[)-]{1,2}\s?\d{3,8}){0,3}(?: \d{4}(?![\d.年/-])){0,2}"
        r"(?:\s?(?:转|ext\.?|x)\s?\d{1,5})?(?![\d.])"
    )
    shortest: ClassVar[int] = 7

    def more(self, text: str) -> Iterable[Span]:
        """See `Labelled.more`."""
        for run in _RUN.finditer(text):
            start, behind = run.start(), text[run.end() : run.end() + 1]
            if len(run[0]) < _SHORTEST_RUN and behind not in _BEHIND:
                continue
            for at in (start, start + 1) if text[start] in "(+" else (start,):
                if match := _MOBILE.match(text, at):
                    if match[0].count("*") <= 6:
                        yield self.span(*match.span(), 0.95, "a mobile phone's prefix and length")
                elif match := _LANDLINE.match(text, at):
                    yield self.span(*match.span(), 0.9, "an area code and a landline's length")

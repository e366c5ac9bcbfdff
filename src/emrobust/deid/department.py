"""Departments where they are named to tell a place: 科室：…, 入住…科, numbered wards.

A department alone (建议骨科就诊) tells of the disease and not of the person, and stays.
"""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust import lexicon
from emrobust.deid.detector import HAN, Detector, Row
from emrobust.deid.spans import Span
from emrobust.deid.tables import alternatives
from emrobust.registry import register

_WARD = r"(?:[一二三四五六七八九十]{1,2}|\d{1,2}|[东南西北])(?:病区|病房|区|科|楼)"
_LABELLED = re.compile(
    rf"(?:科室|科别|入院科室|出院科室|就诊科室|送检科室|申请科室|病区|病房|所在科室)\s?:\s?"
    rf"([{HAN}A-Z\d]{{2,12}}?(?:科|病区|病房|中心|室|ICU|门诊)(?:{_WARD})?)"
)


@register("detector")
class Department(Detector):
    """A department or ward that places a patient."""

    kinds: ClassVar[tuple[str, ...]] = ("department",)
    source: ClassVar[str] = "the lexicon's departments"

    def __init__(self) -> None:
        entries = [entry for entry in lexicon.load().entries if entry.type == "department"]
        names = {form for entry in entries for form in entry.forms if not form.isascii()}
        short = {name[:-1] for name in names if name.endswith("科") and len(name) > 2}
        self._named = re.compile(
            rf"{alternatives(names | short)}"
            rf"(?:(?P<ward>{_WARD})|(?P<bed>(?=\s?(?:\d{{1,3}}|[+加]\d)床)))"
        )
        self.triggers = (_LABELLED, self._named)

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        if text.isascii():
            return []
        found: list[Span] = []
        if ":" in text:
            found += self.spans(_LABELLED, text, 0.8, "a department behind its field's name", 1)
        found += [
            self.span(*match.span(), 0.8, _EVIDENCE[match.lastgroup or ""])
            for match in self._named.finditer(text)
        ]
        return found


_EVIDENCE = {
    "ward": "a department with a numbered ward",
    "bed": "a department before a bed",
}

"""Departments where they are named to tell a place: 科室：…, 入住…科, numbered wards, after a hospital.

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


@register("detector")
class Department(Detector):
    """A department or ward that places a patient."""

    kinds: ClassVar[tuple[str, ...]] = ("department",)
    source: ClassVar[str] = "the lexicon's departments"

    def __init__(self) -> None:
        entries = [entry for entry in lexicon.load().entries if entry.type == "department"]
        names = {form for entry in entries for form in entry.forms if not form.isascii()}
        name = alternatives(
            {*names, *(f"{form[:-1]}" for form in names if form.endswith("科") and len(form) > 2)}
        )
        self._pattern = re.compile(
            rf"(?:科室|科别|入院科室|出院科室|就诊科室|送检科室|申请科室|病区|病房|所在科室)\s?:\s?(?P<label>[{HAN}A-Z\d]{{2,12}}?(?:科|病区|病房|中心|室|ICU|门诊)(?:{_WARD})?)"
            rf"|(?P<ward>{name}{_WARD})"
            rf"|(?<=医院)(?P<place>{name}(?:科)?)(?=$|[^{HAN}]|就诊|住院|门诊|医生|主任|治疗|行|查)"
            rf"|(?P<bed>{name})(?=\s?(?:\d{{1,3}}|\+\d|加\d)床)"
        )

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        if text.isascii():
            return []
        return [
            self.span(*match.span(match.lastgroup or 0), 0.8, _EVIDENCE[match.lastgroup or ""])
            for match in self._pattern.finditer(text)
        ]


_EVIDENCE = {
    "label": "a department behind its field's name",
    "ward": "a department with a numbered ward",
    "place": "a department behind a hospital's name",
    "bed": "a department before a bed",
}

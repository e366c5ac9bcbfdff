"""Names of hospitals, clinics and health centres; 我院, 外院, 当地医院 name none."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid.detector import HAN, Detector, Row, has_english
from emrobust.deid.places import begin_behind, is_name_like
from emrobust.deid.spans import Span
from emrobust.deid.tables import alternatives, either, words
from emrobust.registry import register

_GRAMMAR = "grammar.toml"
_SUFFIX = re.compile(either(_GRAMMAR, "hospital", "kinds"))
_BRANCH = re.compile(
    rf"\s?\(?[{HAN}]{{1,4}}?(?:院区|分院|分部|本部|门诊部)\)?|[东南西北新老]院(?![{HAN}])"
    r"|\([东南西北新老总]院\)"
)
_EDGE = re.compile(rf"[^{HAN}·\dA-Za-z]")
_STRONG = re.compile(rf"{either(_GRAMMAR, 'hospital', 'strong')}(?!院)")
_WEAK = re.compile(either(_GRAMMAR, "hospital", "weak"))
_KNOWN = re.compile(
    alternatives((*words("places.toml", "provinces"), *words("places.toml", "cities")))
)
_SHORT = re.compile(
    rf"{either('places.toml', 'hospitals')}"
    rf"(?:(?<=院)|[一二三四]院|(?={either(_GRAMMAR, 'hospital', 'behind_short')}|[{HAN}]{{0,4}}科))"
)
_ENGLISH = re.compile(
    r"\b(?:(?!(?:At|The|To|From|In|Our|This|Local|Of)\b)[A-Z][A-Za-z.'-]{1,30}\s"
    r"(?:of\s|the\s|and\s|&\s)?){1,5}"
    rf"(?:{'|'.join(words(_GRAMMAR, 'hospital', 'english'))})\b(?:\sof\s[A-Z][a-z]+)?"
)
# 市一院, 县二院: which town's is known where the note was written.
_NUMBERED = re.compile(r"(?<![本我外贵该某])[省市县区][一二三四五六]院")
# Our own hospital, or several: no name.
_OWN = re.compile("[我本]院|[我本贵该][市县区镇乡村]|[您你咱他]们|[一二两三多几各]家")
# What only a name has: a place, or a number or kind behind something else.
_PROPER = re.compile(
    rf"[{HAN}]{{2}}(?:省|市|县|州|旗|镇|乡)|.[第附]|.{{2}}{either(_GRAMMAR, 'hospital', 'proper')}$"
    r"|^[省市县]立$"
)
_GOING = re.compile(rf"{either(_GRAMMAR, 'hospital', 'errands')}$")
_CLAUSES = re.compile(either(_GRAMMAR, "hospital", "clauses"))
_FARTHEST = 24
_LONE = frozenset("医疗保健省市县区镇乡")


@register("detector")
class Hospital(Detector):
    """A hospital's name."""

    kinds: ClassVar[tuple[str, ...]] = ("hospital",)
    source: ClassVar[str] = "naming rules for medical institutions (1994); places.toml, traps.toml"
    triggers = (_SUFFIX, _SHORT, _NUMBERED, _ENGLISH)

    def __init__(self) -> None:
        self._nameless = frozenset(words("traps.toml", "hospitals"))

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        found = []
        done = 0
        if not text.isascii():
            for suffix in _SUFFIX.finditer(text):
                start = _begin(text, max(done, suffix.start() - _FARTHEST), suffix.start())
                if not self._names(text[start : suffix.start()]):
                    continue
                branch = _BRANCH.match(text, suffix.end())
                done = branch.end() if branch else suffix.end()
                found.append(self.span(start, done, 0.9, "a name before 医院 and the like"))
            found += self.spans(_SHORT, text, 0.8, "a well-known hospital's short name")
            found += self.spans(_NUMBERED, text, 0.8, "a numbered hospital of a town")
        if has_english(text):
            found += self.spans(_ENGLISH, text, 0.85, "a name before Hospital and the like")
        return found

    def _names(self, before: str) -> bool:
        """Whether what stands before 医院 names one."""
        if _GOING.search(before) or _CLAUSES.search(before):
            return False
        last = _WEAK.split(before)[-1]
        if last in self._nameless or before in self._nameless:
            return False
        if len(before) < 2 or set(before) <= _LONE or _OWN.match(before):
            return False
        return bool(_PROPER.search(before)) or is_name_like(before)


def _begin(text: str, start: int, end: int) -> int:
    """Where a hospital's name begins: behind a mark, then a preposition, or at a known place."""
    for edge in _EDGE.finditer(text, start, end):
        start = edge.end()
    known = _KNOWN.search(text, start, end)
    if known and known.end() < end:
        return known.start()
    return begin_behind(text, start, end, _STRONG, _WEAK)

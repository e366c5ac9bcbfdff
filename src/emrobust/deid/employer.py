"""Employers and schools: behind 单位 or 就读于, or by what their names end in."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid.detector import HAN, Detector, Row, has_english
from emrobust.deid.places import begin_behind, is_name_like
from emrobust.deid.spans import Span
from emrobust.deid.tables import alternatives, either, words
from emrobust.registry import register

_GRAMMAR = "grammar.toml"
_AFTER = re.compile(
    rf"第?[一二三四五六七八九十\d]{{0,2}}{either(_GRAMMAR, 'employer', 'branches')}"
)
_SUFFIX = re.compile(rf"{either(_GRAMMAR, 'employer', 'kinds')}")
_EDGE = re.compile(rf"[^{HAN}\dA-Za-z·]")
_STRONG = re.compile(either(_GRAMMAR, "employer", "strong"))
_WEAK = re.compile(either(_GRAMMAR, "employer", "weak"))
_FIELD = re.compile(
    rf"{either(_GRAMMAR, 'employer', 'fields')}(?<!\d单位)\s?:\s?([{HAN}A-Za-z\d()·]{{2,30}})"
)
_CONTEXT = re.compile(either(_GRAMMAR, "employer", "context"))
_ENGLISH = re.compile(
    r"(?:[Ww]ork(?:s|ing)?|[Ee]mployed|[Ee]mployee)\s"
    r"(?:at|for|by|as an?\s[a-z ]{3,30}\s(?:at|for)|of)\s((?:[A-Z][A-Za-z&.'-]{1,30}\s?){1,5})"
    rf"|\b((?:[A-Z][a-z]+\s){{1,4}}(?:{'|'.join(words(_GRAMMAR, 'employer', 'english'))})\b\.?)"
)
_PLACE = re.compile(rf"^[{HAN}]{{2,4}}(?:市|县|区|镇)")
_TOLD = re.compile("(?:就读于?|就职于|任职于|单位:?)$")
_AT_WORK = re.compile("上班|工作|打工|任职|就职|读书|上学|就读|念书")
_SURE = words(_GRAMMAR, "employer", "sure")
_NONE = frozenset(words(_GRAMMAR, "employer", "none"))
_FARTHEST = 26
_NEAR = 8


@register("detector")
class Employer(Detector):
    """Where a person works or learns."""

    kinds: ClassVar[tuple[str, ...]] = ("employer",)
    source: ClassVar[str] = "naming rules for enterprises (2020); traps.toml"
    triggers = (_FIELD, _SUFFIX, _ENGLISH)

    def __init__(self) -> None:
        self._nameless = re.compile(f"(?:{alternatives(words('traps.toml', 'employers'))})+")

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        found = []
        if not text.isascii():
            found += [
                self.span(*match.span(1), 0.9, "behind 工作单位")
                for match in _FIELD.finditer(text)
                if match[1] not in _NONE
            ]
            found += self._by_suffix(text)
        for match in _ENGLISH.finditer(text) if has_english(text) else ():
            group = 1 if match[1] else 2
            end = match.start(group) + len(match[group].rstrip(" ."))
            found.append(self.span(match.start(group), end, 0.8, "an English employer or school"))
        return found

    def _by_suffix(self, text: str) -> list[Span]:
        found = []
        done = 0
        for suffix in _SUFFIX.finditer(text):
            start = _begin(text, max(done, suffix.start() - _FARTHEST), suffix.start())
            before = text[start : suffix.start()]
            if len(before) < 2 or self._nameless.fullmatch(before):
                continue
            told = _TOLD.search(text, 0, start) or (
                text[start - 1 : start] == "在" and _AT_WORK.match(text, suffix.end())
            )
            if not told and not _PLACE.search(before) and not is_name_like(before):
                continue
            near = text[max(0, start - _NEAR) : start] + text[suffix.end() : suffix.end() + _NEAR]
            if not _CONTEXT.search(near) and not (
                len(before) > 2 and text.endswith(_SURE, start, suffix.end())
            ):
                continue
            after = _AFTER.match(text, suffix.end())
            done = after.end() if after else suffix.end()
            found.append(self.span(start, done, 0.85, "a name before 公司, 厂, 小学 and the like"))
        return found


def _begin(text: str, start: int, end: int) -> int:
    for edge in _EDGE.finditer(text, start, end):
        start = edge.end()
    return begin_behind(text, start, end, _STRONG, _WEAK)

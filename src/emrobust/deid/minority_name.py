"""Names with a dot: those of minorities and foreigners in Chinese characters (艾力·买买提)."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid.detector import HAN, Detector, Row
from emrobust.deid.spans import Span
from emrobust.deid.tables import alternatives, read_toml, words
from emrobust.registry import register

_DOTTED = re.compile(rf"[{HAN}]{{1,12}}(?:\s?·\s?[{HAN}]{{1,12}}){{1,3}}")
_ROLES = ("patient", "relative", "doctor")
_WORD = re.compile(
    "征|病|综合|现象|反射|试验|细胞|手术|术|法|氏|点|线|三角|反应|评分|分级|分类|法则"
)


@register("detector")
class MinorityName(Detector):
    """A transliterated name with a dot."""

    kinds: ClassVar[tuple[str, ...]] = (
        "person_name",
        "patient_name",
        "relative_name",
        "doctor_name",
    )
    source: ClassVar[str] = "names.toml: characters of transliteration (GB/T 17693)"
    triggers = (_DOTTED,)

    def __init__(self) -> None:
        self._letters = frozenset(read_toml("names.toml")["transliteration"])
        self._roles = {
            f"{role}_name": re.compile(
                f".*(?:{alternatives(words('names.toml', role))})(?:名叫|叫|系|为|是)?"
            )
            for role in _ROLES
        }
        self._follower = re.compile(
            alternatives(
                (
                    *words("names.toml", "followers"),
                    *words("names.toml", "titles_doctor"),
                    *words("names.toml", "titles_person"),
                )
            )
        )

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        if "·" not in text:
            return []
        found = []
        for match in _DOTTED.finditer(text):
            start, kind = self._start(text, match.start(), text.index("·", match.start()))
            end = self._end(text, text.rindex("·", match.start(), match.end()) + 1, match.end())
            if start is not None and end is not None and not _WORD.match(text, end):
                found.append(self.span(start, end, 0.9, "transliterated names with a dot", kind))
        return found

    def _start(self, text: str, start: int, dot: int) -> tuple[int | None, str]:
        """Behind a role, or as far back as characters of transliteration reach."""
        head = text[start:dot].rstrip()
        for kind, role in self._roles.items():
            told = role.match(head)
            if told and told.end() < len(head):
                return start + told.end(), kind
        size = 0
        while size < len(head) and head[-1 - size] in self._letters:
            size += 1
        return (dot - (len(text[start:dot]) - len(head)) - size, "") if size else (None, "")

    def _end(self, text: str, start: int, end: int) -> int | None:
        """As far as characters of transliteration reach; a word that follows names ends it."""
        while text[start] == " ":
            start += 1
        here = start
        while (
            here < end
            and text[here] in self._letters
            and not (
                here > start + 1
                and (found := self._follower.match(text, here))
                and found.end() - here > 1
            )
        ):
            here += 1
        return here if here > start else None

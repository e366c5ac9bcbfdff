"""Names in Latin letters: behind Dr., Mr., Patient:, before MD.

Behind a title an eponym is a person (Dr. Murphy), behind a field's name one that is a common
surname, too (Patient: Baker); nowhere where what it names follows (Baker's cyst).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from emrobust.deid import eponyms
from emrobust.deid.detector import Detector, Row, has_english
from emrobust.deid.spans import Span
from emrobust.deid.tables import words
from emrobust.registry import register

_WORD = r"[A-Z][a-z]+(?:[-'][A-Z]?[a-z]+)?"
_PART = rf"(?:{_WORD}|[A-Z]\.|(?:O'|Mc|Mac|De|Van|von)\s?[A-Z][a-z]+)"
_NAME = rf"{_PART}(?:\s{_PART}){{0,3}}"
_CAPITALS = r"[A-Z]{2,}(?:,?\s[A-Z]{2,})"
_NO_SIGN = "(?!\\s?[征试点复反综病法术评])"
_GRAMMAR = ("grammar.toml", "english_name")


def _any(*keys: str) -> str:
    listed = (word for key in keys for word in words(*_GRAMMAR, key))
    return "|".join(sorted(map(re.escape, listed), key=len, reverse=True))


_TITLED = re.compile(
    rf"\b(?P<title>(?:{_any('titles_doctor', 'titles_person')})\b\.?)\s"
    rf"({_NAME}|(?<!nurse\s)(?<!doctor\s){_CAPITALS}{{0,2}}\b)"  # see nurse NCS form
)
_FIELD = re.compile(
    rf"(?P<role>(?i:{_any('doctor', 'patient', 'relative')})"
    r"(?:\s?:\s?|\s(?:named|called)\s|(?<=by)\s))"
    rf"({_PART}(?:,?\s{_PART}){{0,3}}|{_CAPITALS}{{1,2}}\b){_NO_SIGN}"
)
_SUBJECT = re.compile(
    rf"\b[Pp]atient,?\s({_PART}(?:\s{_PART}){{1,3}}),?\s"
    r"(?=is|was|has|had|presents|denies|reports|complains|returns|came|\(|age)"
)
# a 62-year-old male, Harold Finch, who …
_AGED = re.compile(
    r"\b(?:year|yr|y/?o|month|week|day)[- ]?(?:old)?\s(?:[A-Za-z-]{3,20}\s){0,2}"
    rf"(?:male|female|man|woman|gentleman|lady|boy|girl),?\s(?:named\s)?({_NAME}),?\s"
    r"(?=who|is|was|has|had|with|presents|presented)"
)
# Behind a Chinese role without a colon one word is more likely a test than a name.
_MIXED = re.compile(
    r"(?P<role>患者|病人|姓名|母亲|父亲|丈夫|妻子|医生|医师)\s?"
    rf"({_PART}(?:\s{_PART}){{1,3}}|{_CAPITALS}{{1,2}}\b){_NO_SIGN}"
)
_KIN = re.compile(
    rf"\b(?:[Hh]is|[Hh]er|[Tt]he patient's|[Pp]atient's|[Pp]t's)\s"
    rf"(?:{_any('relative')}),?\s({_NAME})"
)
_DEGREES = r"(?:M\.?D\.?|R\.?N\.?|D\.?O\.?|Ph\.?D\.?|PA-C|NP|MBBS|FACS)\b"
# One word alone is a name only inside of a sentence: Call MD, Primary RN.
_DEGREE = re.compile(rf"(?:\b({_PART}(?:\s{_PART}){{1,3}})|(?<=[a-z]\s)({_WORD})),?\s{_DEGREES}")
_TITLE = "a name behind a title"
_KINDS = tuple(
    (re.compile(rf"(?i){_any(role)}"), f"{role}_name") for role in ("relative", "doctor", "patient")
)


@register("detector")
class EnglishName(Detector):
    """A person's name in Latin letters."""

    kinds: ClassVar[tuple[str, ...]] = (
        "person_name",
        "patient_name",
        "relative_name",
        "doctor_name",
    )
    source: ClassVar[str] = "titles and fields of English notes; eponyms in traps.toml"
    triggers = (_TITLED, _FIELD, _MIXED, _SUBJECT, _AGED, _KIN, _DEGREE)

    def __init__(self) -> None:
        self._none = frozenset(words(*_GRAMMAR, "none"))
        self._staff = words(*_GRAMMAR, "titles_doctor")

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        if not has_english(text):
            return []
        spans = []
        for (start, end), score, evidence, kind in self._candidates(text):
            if size := self._length(text, start, end, titled=evidence == _TITLE):
                spans.append(self.span(start, start + size, score, evidence, kind))
        return spans + self._again(text, spans)

    def _candidates(self, text: str) -> Iterator[tuple[tuple[int, int], float, str, str]]:
        """Where a name may stand, the score, the evidence and the kind."""
        for match in _TITLED.finditer(text):
            kind = "doctor_name" if match["title"].startswith(self._staff) else "person_name"
            yield match.span(2), 0.9, _TITLE, kind
        for match in (*_FIELD.finditer(text), *_MIXED.finditer(text)):
            yield match.span(2), 0.9, "a name behind a field", _kind(match["role"])
        for match in (*_SUBJECT.finditer(text), *_AGED.finditer(text)):
            yield match.span(1), 0.85, "a name behind patient or age", "patient_name"
        for match in _KIN.finditer(text):
            yield match.span(1), 0.85, "a name behind a family role", "relative_name"
        for match in _DEGREE.finditer(text):
            yield match.span(match.lastindex or 1), 0.9, "a name before a degree", "doctor_name"

    def _length(self, text: str, start: int, end: int, *, titled: bool) -> int:
        """How much of it is a name: up to the first word that isn't one."""
        size = 0
        for part in re.finditer(r"[^\s,]+", text[start:end]):
            stem = re.split("['.-]", part[0])[0]
            if stem in self._none:
                break
            if stem in eponyms.EPONYMS:
                person = titled or size > 0 or stem in eponyms.SURNAMES
                behind = start + part.start() + len(stem)
                if not person or eponyms.names_thing(text, behind, titled=titled):
                    break
            size = part.end()
        return size

    def _again(self, text: str, spans: list[Span]) -> list[Span]:
        """The same surnames at other places of the text."""
        more = []
        for span in spans:
            last = text[span.start : span.end].rpartition(" ")[2]
            if len(last) > 3 and last not in self._none | eponyms.EPONYMS:
                more += [
                    self.span(*match.span(), 0.7, "a name found elsewhere in the text", span.kind)
                    for match in re.finditer(rf"\b{re.escape(last)}\b", text)
                    if not span.start <= match.start() < span.end
                ]
        return more


def _kind(role: str) -> str:
    return next((kind for pattern, kind in _KINDS if pattern.match(role)), "person_name")

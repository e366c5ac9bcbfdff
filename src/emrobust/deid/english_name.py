"""Names in Latin letters: behind Dr., Mr., Patient:, before MD; eponyms are no persons."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid.detector import Detector, Row, has_english
from emrobust.deid.spans import Span
from emrobust.deid.tables import words
from emrobust.registry import register

_PART = r"(?:[A-Z][a-z]+(?:[-'][A-Z]?[a-z]+)?|[A-Z]\.|(?:O'|Mc|Mac|De|Van|von)\s?[A-Z][a-z]+)"
_NAME = rf"{_PART}(?:\s{_PART}){{0,3}}"
_TITLED = re.compile(
    rf"\b(?P<title>(?:Dr|Mr|Mrs|Ms|Miss|Prof|Professor|Doctor|Sir|Nurse|Rev)\b\.?)\s({_NAME}|[A-Z]{{2,}}(?:\s[A-Z]{{2,}}){{0,2}}\b)"
)
_FIELD = re.compile(
    rf"(?P<role>(?i:patient(?:'s)?(?: name)?|name|pt|physician|attending|surgeon|signed(?: by)?|dictated by|reviewed by|referred by|seen by|provider|nurse"
    rf"|contact|next of kin|mother|father|wife|husband|son|daughter|brother|sister|spouse|guardian|caregiver|患者|姓名|病人|英文名|医生|医师|母亲|父亲|丈夫|妻子)"
    rf"(?:\s?[:,]\s?|\s(?:is|named|called)\s|(?<=by)\s|(?<=[\u4e00-\u9fff])\s?))({_PART}(?:,?\s{_PART}){{0,3}}|[A-Z]{{2,}}(?:,?\s[A-Z]{{2,}}){{1,2}}\b)"
)
_KIN = re.compile(
    rf"\b(?:[Hh]is|[Hh]er|[Tt]he patient's|[Pp]atient's)\s(?:mother|father|wife|husband|son|daughter|brother|sister|partner|spouse|aunt|uncle|friend),?\s({_NAME})"
)
_DEGREE = re.compile(
    rf"\b({_PART}(?:\s{_PART}){{1,3}}),?\s(?:M\.?D\.?|R\.?N\.?|D\.?O\.?|Ph\.?D\.?|PA-C|NP|MBBS|FACS)\b"
)
_DOCTOR = re.compile(
    r"(?i)dr|prof|doctor|physician|attending|surgeon|signed|dictated|reviewed|referred|seen|provider|nurse|医"
)
_PATIENT = re.compile(r"(?i)patient|^name|^pt|患者|病人|姓名|英文名")
_KINSHIP = re.compile(
    r"(?i)contact|kin|mother|father|wife|husband|son|daughter|brother|sister|spouse|guardian|caregiver|母|父|丈夫|妻"
)
# Capitalised words that begin sentences and findings.
_NO_NAMES = frozenset(
    ["The", "This", "That", "There", "Is", "Was", "Has", "Had", "He", "She", "It", "No", "Not", "Denies", "Presents", "With", "And", "Or", "For", "At", "In", "On", "Of", "To", "Complains", "Reports", "Will", "Who", "Alert", "Stable", "Normal", "Patient", "Unknown", "Male", "Female", "Blood", "Pain", "Chest", "Fever", "None", "Her", "His", "Seen", "Discharged", "Admitted", "Currently", "Today", "Yesterday", "History", "Status", "Well", "Feels", "Returns", "Please", "Follow", "See", "Date", "Age", "Sex", "Address", "Phone", "Room", "Bed"]
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

    def __init__(self) -> None:
        self._none = frozenset(words("traps.toml", "eponyms")) | _NO_NAMES

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        if not has_english(text):
            return []
        found = []
        for match in _TITLED.finditer(text):
            kind = "doctor_name" if _DOCTOR.match(match["title"]) else "person_name"
            found.append((match.span(2), 0.9, "a name behind a title", kind))
        for match in _FIELD.finditer(text):
            found.append((match.span(2), 0.9, "a name behind a field", _kind(match["role"])))
        for match in _KIN.finditer(text):
            found.append((match.span(1), 0.85, "a name behind a family role", "relative_name"))
        for match in _DEGREE.finditer(text):
            found.append((match.span(1), 0.9, "a name before a degree", "doctor_name"))
        spans = []
        for (start, end), score, evidence, kind in found:
            size = self._length(text[start:end])
            if size:
                spans.append(self.span(start, start + size, score, evidence, kind))
        return spans + self._again(text, spans)

    def _length(self, name: str) -> int:
        """How much of it is a name: up to the first word that isn't one."""
        end = 0
        for part in re.finditer(r"[^\s,]+", name):
            if part[0].rstrip("'s.") in self._none or part[0] in self._none:
                break
            end = part.end()
        return end

    def _again(self, text: str, spans: list[Span]) -> list[Span]:
        """The same surnames at other places of the text."""
        more = []
        for span in spans:
            last = text[span.start : span.end].rpartition(" ")[2]
            if len(last) > 3 and last not in self._none:
                more += [
                    self.span(*match.span(), 0.7, "a name found elsewhere in the text", span.kind)
                    for match in re.finditer(rf"\b{re.escape(last)}\b", text)
                    if not span.start <= match.start() < span.end
                ]
        return more


def _kind(role: str) -> str:
    for pattern, kind in (
        (_KINSHIP, "relative_name"),
        (_DOCTOR, "doctor_name"),
        (_PATIENT, "patient_name"),
    ):
        if pattern.search(role):
            return kind
    return "person_name"

"""Chinese names that nothing tells of: alone between marks, behind 由 or 和, of a compound surname.

A signature at the end of a note is a doctor's, a name before sex or age the patient's.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import ClassVar

from emrobust.deid.detector import HAN, Detector, Row
from emrobust.deid.names import ANY, Reading, is_function, load_names, repeats
from emrobust.deid.spans import Span
from emrobust.deid.tables import alternatives, words
from emrobust.registry import register

_SURE_GIVEN = 1.5
_LAST = re.compile(r"[ 。.,;\n]*+\Z")
_PARAGRAPH = re.compile(r"[ 。.]{0,3}\n")


@register("detector")
class BareName(Detector):
    """A person's name in Chinese characters, by its own look."""

    kinds: ClassVar[tuple[str, ...]] = ("person_name", "patient_name", "doctor_name")
    source: ClassVar[str] = "surnames.toml (name reports of public security), traps.toml"

    def __init__(self) -> None:
        self._names = load_names()
        first = self._names.firsts
        # 张伟 or 张 伟 between what are no characters of a word.
        self._alone = re.compile(
            rf"[{first}](?<![{HAN}A-Za-z\d].)"
            rf"(?:[{HAN}]{{1,3}}(?![{HAN}])|(?: {{1,4}}(?![男女])[{HAN}]){{1,2}}(?![{HAN}]))"
        )
        self._before = re.compile(rf"{alternatives(words('names.toml', 'before'))}(?=[{first}])")
        self._double = re.compile(alternatives(self._names.double))
        self.triggers = (self._alone, self._before, self._double)

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        if text.isascii():
            return []
        found = [*self._by_clause(text), *self._in_sentence(text), *self._by_double(text)]
        return found + repeats(self, text, found)

    def _by_clause(self, text: str) -> Iterator[Span]:
        """A name between two marks: a signature, or before sex and age."""
        for match in self._alone.finditer(text):
            if span := self._clause(text, *match.span()):
                yield span

    def _clause(self, text: str, start: int, end: int) -> Span | None:
        name = text[start:end].replace(" ", "")
        reading = _read(name)
        if reading is None or reading.end != len(name) or reading.word:
            return None
        personal = self._names.is_personal(text, end)
        last = self._is_signature(text, start, end)
        if not reading.known and not (reading.possible and (personal or last)):
            return None
        if not personal and text[end : end + 1].isalnum():
            return None
        if not self._is_name(name, reading, personal=personal, last=last):
            return None
        kind = "patient_name" if personal else "doctor_name" if last else "person_name"
        score = 0.8 if personal or last else 0.6
        return self.span(start, end, score, "a name alone between marks", kind)

    def _is_signature(self, text: str, start: int, end: int) -> bool:
        """Whether it ends the text, or, as a sentence of its own, a paragraph."""
        if _LAST.match(text, end):
            return True
        while start and text[start - 1] == " ":
            start -= 1
        return text[max(0, start - 1) : start] in ("。", "") and bool(_PARAGRAPH.match(text, end))

    def _is_name(self, name: str, reading: Reading, *, personal: bool, last: bool) -> bool:
        if personal or len(name) > 3:
            return True
        if reading.surname <= 1 or (not last and is_function(name[1:], ANY)):
            return False
        if name[0] in self._names.wordlike:
            return last or (reading.given == 2 and len(name) > 2)
        return last or len(name) > 2 or reading.given == 2

    def _in_sentence(self, text: str) -> Iterator[Span]:
        """Behind 由, 和, 让 and before what follows names: 由张建国陪同."""
        for match in self._before.finditer(text):
            start = match.end()
            reading = self._names.read(text, start)
            if reading and self._is_between(text, start, reading):
                yield self.span(start, reading.end, 0.75, "a name behind a preposition")

    def _is_between(self, text: str, start: int, reading: Reading) -> bool:
        sure = reading.surname == 2 and reading.given >= _SURE_GIVEN and not reading.word
        return sure and reading.closed and reading.known and text[start] not in self._names.wordlike

    def _by_double(self, text: str) -> Iterator[Span]:
        """Any name of a two-character surname."""
        for match in self._double.finditer(text):
            reading = self._names.read(text, match.start())
            if reading and reading.known and not reading.word and reading.end > match.end():
                yield self.span(match.start(), reading.end, 0.7, "a compound surname")


@functools.lru_cache(maxsize=65_536)
def _read(clause: str) -> Reading | None:
    """The name that begins a clause: most clauses of notes stand in many notes."""
    return load_names().read(clause, 0)

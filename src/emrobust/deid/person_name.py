"""Chinese names: behind 姓名 and 患者, behind family roles, beside titles, in signatures, alone.

The kind follows from the context: 患者 → patient_name, 其母 → relative_name, 医师 → doctor_name,
else person_name. A name found once is taken wherever else it stands in the text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import ClassVar

import rjieba

from emrobust.deid.detector import HAN, Detector, Row
from emrobust.deid.names import NAME_TAGS, Reading, is_word, load_names
from emrobust.deid.spans import Span
from emrobust.deid.tables import alternatives, read_toml, words
from emrobust.registry import register

_CLAUSE = re.compile(rf"[{HAN}][{HAN} ]*+")
_SPACED = re.compile(rf"[{HAN}](?: {{1,4}}[{HAN}]){{1,2}}")
_VALUE = re.compile(rf"([{HAN}](?:[ ]{{0,4}}[{HAN}]){{1,3}})(?=\s*(?:$|[^{HAN}\s])|\s)")
_PERSONAL = re.compile(
    r"\s?[,、/ (]?\s?(?:男|女|性别|\d{1,3}岁|年龄|电话|手机|身份证|1[3-9]\d{9}|住院号|床)"
)
_LINK = rf"\s{{0,2}}(?:(?P<colon>[:])|[(,、/]|{alternatives(words('names.toml', 'links'))}(?P<named>):?|[是为系即])?\s{{0,4}}"
_NAMING = re.compile("名|签")
_PART = re.compile(r"[^ ]+")
_LONGEST = 4
_ANY = "tvdpcrmqfnas"
_SURE_GIVEN = 1.5


def _role(kind: str) -> str:
    return alternatives(words("names.toml", kind))


@register("detector")
class PersonName(Detector):
    """A person's name in Chinese characters."""

    kinds: ClassVar[tuple[str, ...]] = (
        "person_name",
        "patient_name",
        "relative_name",
        "doctor_name",
    )
    source: ClassVar[str] = (
        "surnames.toml (name reports of the ministry of public security), names.toml, traps.toml"
    )

    def __init__(self) -> None:
        self._names = load_names()
        self._kinds = {
            word: f"{kind}_name"
            for kind in ("doctor", "relative", "patient")
            for role in (kind, f"fields_{kind}")
            if role in read_toml("names.toml")
            for word in words("names.toml", role)
        }
        self._kinds |= {f"其{word}": kind for word, kind in self._kinds.items() if word[0] != "其"}
        self._roles = re.compile(rf"({alternatives(self._kinds)}){_LINK}(?=[{HAN}])")
        self._staff = frozenset(words("names.toml", "titles_doctor"))
        self._titles = re.compile(
            alternatives((*self._staff, *words("names.toml", "titles_person")))
        )
        self._before = re.compile(rf"(?:{_role('before')})(?=[{HAN}])")
        self._before_end = frozenset(words("names.toml", "before"))
        self._functions = frozenset(read_toml("surnames.toml")["functions"])
        self._double = re.compile(alternatives(self._names.double))

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        if text.isascii():
            return []
        found = [*self._by_role(text), *self._by_title(text), *self._by_clause(text)]
        found += [*self._in_sentence(text), *self._by_double(text)]
        return found + self._again(text, found)

    def _by_role(self, text: str) -> Iterator[Span]:
        """Behind 患者, 母亲, 医师签名 and the like, with or without a colon."""
        for match in self._roles.finditer(text):
            kind, start = self._kinds[match[1]], match.end()
            told = match["colon"] is not None or match["named"] is not None
            naming = match["colon"] is not None and bool(_NAMING.search(match[1]))
            value = _VALUE.match(text, start) if told else None
            if value and self._is_value(value[1], naming=naming):
                yield self.span(*value.span(1), 0.95, "the value of a name's field", kind)
                continue
            reading = self._names.read(text, start, strict=not naming)
            if reading and (naming or self._is_sure(text, start, reading)):
                yield self.span(start, reading.end, 0.9, "a name behind a role", kind)

    def _is_value(self, value: str, *, naming: bool) -> bool:
        """Whether what stands behind a field's colon is a name."""
        name = value.replace(" ", "")
        names = self._names
        if name in names.empty or name in names.traps:
            return False
        size, weight = names.surname(name, 0)
        if naming:
            return bool(size) or not is_word(name)
        return 0 < size < len(name) <= size + 2 and not is_word(name) and not names.is_trap(name, 0)

    def _is_sure(self, text: str, start: int, reading: Reading) -> bool:
        """Whether a reading behind a role without a colon is more than chance."""
        given = text[start + 1 : reading.end]
        if reading.word or text[start : reading.end] in self._names.traps:
            return False
        if text[start] in self._names.wordlike:
            return reading.closed and reading.known and not is_function(given)
        if not reading.known:
            return reading.closed and reading.surname == 2 and not is_function(given, _ANY)
        return reading.closed or not is_function(given)

    def _by_title(self, text: str) -> Iterator[Span]:
        """Before 医生, 主任, 女士; a lone surname too."""
        for match in self._titles.finditer(text):
            kind = "doctor_name" if match[0] in self._staff else "person_name"
            end = match.start()
            while end and text[end - 1] == " ":
                end -= 1
            start = self._back(text, end)
            if start is not None:
                yield self.span(start, end, 0.85, "a name before a title", kind)

    def _back(self, text: str, end: int) -> int | None:
        """Where the name that ends here begins."""
        readings = []
        for start in range(max(0, end - 4), end - 1):
            reading = self._names.read(text, start)
            if reading and reading.end == end and self._is_titled(text, start, reading):
                readings.append((start, reading))
        if readings:
            # 由张伟医生: the preposition 由 is a surname too.
            start, _ = max(
                readings,
                key=lambda r: (text[r[0]] not in self._before_end, r[1].surname + r[1].given),
            )
            return start
        return self._alone(text, end - 1)

    def _alone(self, text: str, at: int) -> int | None:
        """The place of a surname without a given name, where one stands before a title."""
        _, weight = self._names.surname(text, at)
        if weight <= 1 or text[at] in self._functions or not self._is_beginning(text, at):
            return None
        whole = text[at : at + 3]
        return None if whole in self._names.traps or is_word(whole) else at

    def _is_titled(self, text: str, start: int, reading: Reading) -> bool:
        """Whether a reading before a title is more than chance."""
        before = text[start - 1 : start]
        joined = before not in self._before_end and is_word(before + text[start])
        if reading.word or not reading.known or joined:
            return False
        doubtful = text[start] in self._names.wordlike or reading.surname < 2
        return not (doubtful and is_function(text[start + 1 : reading.end], _ANY))

    def _is_beginning(self, text: str, start: int) -> bool:
        """Whether a clause or a word that stands before names ends here."""
        before = text[max(0, start - 2) : start]
        return not re.match(rf"[{HAN}A-Za-z]", before[-1:]) or bool(
            {before, before[-1:]} & self._before_end
        )

    def _by_clause(self, text: str) -> Iterator[Span]:
        """A name between two marks: a signature, or before sex and age."""
        for match in _CLAUSE.finditer(text):
            if text[match.start() - 1 : match.start()].isalnum():
                continue
            for start, end in _pieces(match):
                span = self._clause(text, start, end)
                if span:
                    yield span

    def _clause(self, text: str, start: int, end: int) -> Span | None:
        name = text[start:end].replace(" ", "")
        size, _ = self._names.surname(name, 0)
        if not size or len(name) not in (size + 1, size + 2):
            return None
        reading = self._names.read(name, 0)
        if reading is None or reading.end != len(name) or reading.word or not reading.known:
            return None
        personal = bool(_PERSONAL.match(text, end))
        if not personal and text[end : end + 1].isalnum():
            return None
        last = not text[end:].strip(" 。.,;\n")
        if not self._is_clause_name(name, reading, personal=personal, last=last):
            return None
        kind = "patient_name" if personal else "doctor_name" if last else "person_name"
        score = 0.8 if personal or last else 0.6
        return self.span(start, end, score, "a name alone between marks", kind)

    def _is_clause_name(self, name: str, reading: Reading, *, personal: bool, last: bool) -> bool:
        if personal or len(name) > 3:
            return reading.given >= 1
        if reading.surname == 1:
            return False
        if not last and is_function(name[1:], _ANY):
            return False
        if name[0] in self._names.wordlike:
            return reading.given >= (1 if last else 2) and (len(name) > 2 or last)
        return reading.given >= (1 if last or len(name) > 2 else 2)

    def _in_sentence(self, text: str) -> Iterator[Span]:
        """Behind 由, 和, 让 and before what follows names: 由张建国陪同."""
        for match in self._before.finditer(text):
            start = match.end()
            if text[start] in self._names.wordlike:
                continue
            reading = self._names.read(text, start)
            if (
                reading
                and reading.closed
                and reading.surname == 2
                and reading.given >= _SURE_GIVEN
                and self._is_titled(text, start, reading)
            ):
                yield self.span(start, reading.end, 0.75, "a name behind a preposition")

    def _by_double(self, text: str) -> Iterator[Span]:
        """Any name of a two-character surname."""
        for match in self._double.finditer(text):
            reading = self._names.read(text, match.start())
            known = reading is not None and reading.known and not reading.word
            if reading and known and reading.end > match.end():
                yield self.span(match.start(), reading.end, 0.7, "a compound surname")

    def _again(self, text: str, found: list[Span]) -> list[Span]:
        """The same names at other places of the text."""
        places = {span.start for span in found}
        more = []
        for name, kind in {text[s.start : s.end]: s.kind for s in found if s.score >= 0.8}.items():
            if len(name) < 2 or is_word(name):
                continue
            for match in re.finditer(re.escape(name), text):
                if match.start() not in places:
                    more.append(
                        self.span(*match.span(), 0.8, "a name found elsewhere in the text", kind)
                    )
        return more


def _pieces(clause: re.Match[str]) -> Iterator[tuple[int, int]]:
    """The clause without its blanks where it may be a name, or its parts between blanks."""
    text = clause[0].rstrip(" ")
    if " " not in text:
        if len(text) <= _LONGEST:
            yield clause.start(), clause.start() + len(text)
        return
    if _SPACED.fullmatch(text):
        yield clause.start(), clause.start() + len(text)
    for part in _PART.finditer(text):
        if 1 < len(part[0]) <= _LONGEST:
            yield clause.start() + part.start(), clause.start() + part.end()


@functools.lru_cache(maxsize=65_536)
def is_function(text: str, tags: str = "tvdpcrmqf") -> bool:
    """Whether the dictionary has this as one word, of two characters or more, with such a tag."""
    tagged = rjieba.tag(text, False) if len(text) > 1 else []
    return len(tagged) == 1 and tagged[0][1][0] in tags and tagged[0][1] not in NAME_TAGS

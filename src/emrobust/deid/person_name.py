"""Chinese names beside what tells of them: behind 姓名, 其母 or 医师签名, before 主任 or 女士.

The kind follows from the context: 患者 → patient_name, 其母 → relative_name, 医师 → doctor_name,
女士 → person_name. A name found once is taken wherever else it stands in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from emrobust.deid.detector import HAN, Detector, Row
from emrobust.deid.names import ANY, Reading, is_function, is_word, load_names, repeats
from emrobust.deid.spans import Span
from emrobust.deid.tables import alternatives, read_toml, words
from emrobust.registry import register

# A whole value: 张伟, 张 伟, 阿依古丽; what comes behind is no character of a name.
_VALUE = re.compile(
    rf"([{HAN}]{{2,4}}"
    rf"|[{HAN}] {{1,4}}(?![男女])[{HAN}](?: {{1,4}}(?![男女])[{HAN}])?)"
    rf"(?=\s|$|[^{HAN}\s])"
)
_SPACED = re.compile(rf"[{HAN}](?: {{1,2}}(?![男女])[{HAN}]){{1,2}}")
_SPACED_BEFORE = re.compile(rf"(?<![{HAN}] )[{HAN}](?: {{1,2}}[{HAN}]){{1,2}}$")
_LINK = (
    r"\s{0,2}(?:(?P<colon>:)|[(,、/]|"
    rf"{alternatives(words('names.toml', 'links'))}(?P<named>):?|[是为系即])?\s{{0,4}}"
)
_AND = frozenset("、,和及与/")
_TIMES = "tvdpcrmqf"
_PARTLY = 0.5  # the mean of a listed character and one of grammar
_RARELY = 1.5  # of a character that is seldom anything but a name's
_MEDIUM = 1.5  # of a surname that is not one of the 100 commonest
_TITLE = 4  # characters of a word for one person of the staff
_SPEECH = frozenset("诉述称")
_NAMING = re.compile("名|签")


@register("detector")
class PersonName(Detector):
    """A person's name in Chinese characters, by its context."""

    kinds: ClassVar[tuple[str, ...]] = (
        "person_name",
        "patient_name",
        "relative_name",
        "doctor_name",
    )
    source: ClassVar[str] = (
        "names.toml, surnames.toml (name reports of public security), traps.toml"
    )

    def __init__(self) -> None:
        self._names = load_names()
        self._kinds = _roles()
        roles = alternatives(self._kinds)
        self._roles = re.compile(rf"({roles}){_LINK}(?=[{HAN}])")
        self._staff = frozenset(words("names.toml", "titles_doctor"))
        titles = (*self._staff, *words("names.toml", "titles_person"))
        self._titles = re.compile(rf"{alternatives(titles)}(?!事务所|资格|证)")
        self._before = frozenset(words("names.toml", "before"))
        self._fields = frozenset(words("names.toml", "fields_doctor"))
        self._functions = frozenset(read_toml("surnames.toml")["functions"])
        # Only behind a colon may a name be without a known surname.
        field = re.compile(rf"{roles}\s{{0,2}}:\s{{0,4}}[{HAN}]")
        self.triggers = (
            field, re.compile(rf"{roles}{_LINK}[{self._names.firsts}]"), self._titles
        )  # fmt: skip

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        if text.isascii():
            return []
        found = [*self._by_role(text), *self._by_title(text)]
        return found + repeats(self, text, found)

    def _by_role(self, text: str) -> Iterator[Span]:
        """Behind 患者, 母亲, 医师签名 and the like, with or without a colon."""
        for match in self._roles.finditer(text):
            kind, start = self._kinds[match[1]], match.end()
            told = match["colon"] is not None or match["named"] is not None
            if match[1] in self._fields and not told:
                continue
            naming = (
                match["colon"] is not None
                and match[1] not in self._fields
                and (kind == "doctor_name" or bool(_NAMING.search(match[1])))
            )
            spaced = _SPACED.match(text, start)
            if spaced and self._is_spaced(text, *spaced.span()):
                yield self.span(*spaced.span(), 0.9, "a name with blanks behind a role", kind)
                continue
            value = _VALUE.match(text, start)
            if value and self._is_value(value[1], told=told, naming=naming):
                yield self.span(*value.span(1), 0.95, "the value of a name's field", kind)
                continue
            reading = self._names.read(text, start, strict=not naming)
            staff = len(match[1]) if kind == "doctor_name" else 0
            if reading and (naming or self._is_sure(text, start, reading, staff)):
                yield self.span(start, reading.end, 0.9, "a name behind a role", kind)
                yield from self._list(text, reading.end, kind)

    def _is_spaced(self, text: str, start: int, end: int) -> bool:
        """Whether single characters with blanks between them are a name."""
        name = text[start:end].replace(" ", "")
        reading = self._names.read(name + text[end : end + 4], 0)
        return reading is not None and reading.end == len(name) and reading.possible

    def _list(self, text: str, end: int, kind: str) -> Iterator[Span]:
        """More names behind a name: 家属费玉明、费玉成."""
        while text[end : end + 1] in _AND and (reading := self._names.read(text, end + 1)):
            if not reading.known or not reading.closed or reading.word:
                return
            yield self.span(end + 1, reading.end, 0.85, "a name in a list of names", kind)
            end = reading.end

    def _is_value(self, value: str, *, told: bool, naming: bool) -> bool:
        """Whether what stands behind a role, up to a mark, is a name."""
        name = value.replace(" ", "")
        names = self._names
        if name in names.empty or (names.is_trap(name, 0) and not naming):
            return False
        size, weight = names.surname(name, 0)
        if naming:
            return bool(size) or not is_word(name)
        if not size < len(name) <= size + 2 or is_word(name) or not size:
            return False
        known = all(names.weigh(letter) >= 1 for letter in name[size:])
        if not told:
            return known and " " in value
        sure = weight > 1 and name[0] not in names.wordlike
        return (sure or known) and not is_function(name[size:])

    def _is_sure(self, text: str, start: int, reading: Reading, staff: int) -> bool:
        """Whether a reading behind a role without a colon is more than chance."""
        name = text[start : reading.end]
        if name in self._names.traps:
            return False
        marked = self._names.is_marked(text, reading.end)
        if self._names.is_personal(text, reading.end) and (reading.known or marked):
            return True
        # Behind 接诊医师 a word alone is somebody's name; behind 医生 it may be anything.
        alone = staff >= _TITLE and marked and reading.surname > _MEDIUM
        word = reading.word and not (alone and not is_function(name, _TIMES))
        if word or not (reading.closed or reading.known):
            return False
        if name[0] in self._functions or name[0] in self._names.wordlike:
            doubt = ANY if name[0] in self._functions else _TIMES
            long = (
                len(name) > 2
                or name[0] not in self._functions
                or (marked and reading.given >= _RARELY)
            )
            between = self._is_between(text, reading)
            lone = marked and (staff > 0 or reading.surname > _MEDIUM)
            sure = reading.known or (between and (len(name) > 2 or lone))
            return long and reading.closed and sure and not is_function(name[1:], doubt)
        if not reading.known:
            listed = reading.given >= _PARTLY
            return listed or self._is_between(text, reading)
        return reading.closed or not is_function(name[1:])

    def _is_between(self, text: str, reading: Reading) -> bool:
        """Whether characters that may be a name end at a mark or before 代诉, 陪同 and the like."""
        follower = self._names.followers.match(text, reading.end)
        followed = follower is not None and (
            follower.end() - reading.end > 1 or text[reading.end] in _SPEECH
        )
        return reading.possible and (followed or self._names.is_marked(text, reading.end))

    def _by_title(self, text: str) -> Iterator[Span]:
        """Before 医生, 主任, 女士; a lone surname too."""
        for match in self._titles.finditer(text):
            kind = "doctor_name" if match[0] in self._staff else "person_name"
            end = len(text[: match.start()].rstrip(" "))
            start = self._back(text, end)
            if start is not None:
                yield self.span(start, end, 0.85, "a name before a title", kind)

    def _back(self, text: str, end: int) -> int | None:
        """Where the name that ends here begins."""
        readings = [
            (start, reading)
            for start in range(max(0, end - 4), end - 1)
            for reading in self._names.read_all(text, start)
            if reading.end == end and self._is_titled(text, start, reading)
        ]
        spaced = _SPACED_BEFORE.search(text, max(0, end - 9), end)
        if not readings and spaced and self._is_spaced(text, *spaced.span()):
            return spaced.start()
        if not readings:
            return self._alone(text, end - 1) if end else None
        # 由张伟医生: the preposition 由 is a surname too.
        return max(
            readings, key=lambda r: (text[r[0]] not in self._before, r[1].surname + r[1].given)
        )[0]

    def _alone(self, text: str, at: int) -> int | None:
        """The place of a surname without a given name, where one stands before a title."""
        _, weight = self._names.surname(text, at)
        known = weight > 1 or (weight == 1 and text[at] not in self._names.wordlike)
        if not known or text[at] in self._functions or not self._is_beginning(text, at):
            return None
        whole = text[at : at + 3]
        return None if whole in self._names.traps or is_word(whole) else at

    def _is_titled(self, text: str, start: int, reading: Reading) -> bool:
        """Whether a reading before a title is more than chance."""
        before = text[start - 1 : start]
        joined = bool(before) and before not in self._before and is_word(before + text[start])
        if reading.word or joined or not (reading.known or self._is_alone(text, start, reading)):
            return False
        wordlike = text[start] in self._names.wordlike
        if reading.surname <= 1 and reading.end - start == 2 and wordlike:
            return False
        doubtful = wordlike or reading.surname <= 1
        return not (doubtful and is_function(text[start + 1 : reading.end], ANY))

    def _is_alone(self, text: str, start: int, reading: Reading) -> bool:
        """Whether characters that may be a name stand between a preposition and a title."""
        long = (
            reading.end - start > 2
            or text[start] not in self._names.wordlike
            or text[start - 1 : start] in self._before
        )
        return long and reading.possible and self._is_beginning(text, start)

    def _is_beginning(self, text: str, start: int) -> bool:
        """Whether a clause or a word that stands before names ends here."""
        before = text[max(0, start - 2) : start]
        return not re.match(rf"[{HAN}A-Za-z]", before[-1:]) or bool(
            {before, before[-1:]} & self._before
        )


def _roles() -> dict[str, str]:
    """Words before names → the kind of the name; each with 其 too."""
    table = read_toml("names.toml")
    kinds = {
        word: f"{kind}_name"
        for kind in ("doctor", "relative", "patient")
        for role in (kind, f"fields_{kind}")
        for word in table.get(role, ())
    }
    return kinds | {f"其{word}": kind for word, kind in kinds.items() if word[0] != "其"}

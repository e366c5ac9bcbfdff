"""What a Chinese name looks like: a surname, then one or two characters of given names.

`Names.read` finds the name that begins at a place, if one does. The evidence it asks for depends
on what the caller knows: behind 姓名 nearly nothing, in the middle of a sentence a common surname,
given names' characters and no word of the language across the name's edge.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import rjieba

from emrobust import lexicon
from emrobust.deid.detector import HAN, Detector
from emrobust.deid.spans import Span
from emrobust.deid.tables import alternatives, read_toml, words

_PERSONAL = re.compile(
    r"\s?[,、/ (]{0,2}\s?"
    r"(?:男|女|性别|\d{1,3}岁|年龄|电话|手机|身份证|1[3-9]\d{9}|住院号|患者之|病人之)"
)
ANY = "tvdpcrmqfnas"
_WINDOW = 8
_LONGEST = 7
_SURE = 0.8
_SELDOM = 1.5
_ORDINARY = 0.25
_MEDICAL = 0.1
_LEVEL_TWO = 0xD8  # the first byte of GB 2312's second level
_FEWEST_TERMS = 15  # of the lexicon that make a character one of medicine
_CLOSED = re.compile(rf"\s{{0,2}}(?:$|[^{HAN}\s])|\s{{2}}|\n")
# Persons; many places and brands are persons' names too.
_NAME_TAGS = ("nr", "nrt", "nrfg", "ns", "nz")


class Reading(NamedTuple):
    """A name that begins at a place.

    Attributes:
        end: offset behind it.
        given: how much its given characters are those of names, 0–2 each, the mean.
        surname: 2 common, 1 known, 0 not one.
        closed: whether a mark, a blank, the end or a word that follows names stands behind it.
        known: whether all given characters are in the tables, or seldom anything but names.
        possible: whether they may be a name at all, though no table has them: none is a word of
            grammar or medicine, and the dictionary has no word in them.
        word: whether its first characters are a word of the language.
    """

    end: int
    given: float
    surname: float
    closed: bool
    known: bool
    possible: bool
    word: bool


class Names:
    """The tables of names, compiled."""

    def __init__(self) -> None:
        table = read_toml("surnames.toml")
        double = frozenset(table["double"])
        self.surnames = dict.fromkeys(table["rare"], 1.0)
        self.surnames |= dict.fromkeys(table["medium"] + table["traditional"], 1.5)
        self.surnames |= dict.fromkeys(table["common"], 2.0)
        self.double = dict.fromkeys(double, 2.0)
        self.firsts = "".join(sorted({*self.surnames, *(word[0] for word in double)}))
        self.wordlike = frozenset(table["words"])
        self.enders = frozenset(read_toml("names.toml")["enders"])
        self.given = dict.fromkeys(table["given"]["medium"], 1.0)
        self.given |= dict.fromkeys(table["given"]["frequent"], 2.0)
        self._grammar = frozenset(read_toml("names.toml")["never"])
        self.followers = re.compile(alternatives(words("names.toml", "followers")))
        titles = (*words("names.toml", "titles_doctor"), *words("names.toml", "titles_person"))
        self.titles = re.compile(rf"\s?{alternatives(titles)}")
        keys = ("titles_doctor", "titles_person", "doctor", "patient", "relative")
        self._roles = frozenset(word for key in keys for word in words("names.toml", key))
        self.traps = frozenset(words("traps.toml", "names")) | _terms()
        self.places = frozenset(
            (*words("places.toml", "provinces"), *words("places.toml", "cities"))
        )
        self.empty = frozenset(words("names.toml", "empty"))

    def is_trap(self, text: str, start: int) -> bool:
        """Whether a clinical word begins at ``start``."""
        return any(text[start : start + size] in self.traps for size in range(_LONGEST, 1, -1))

    def surname(self, text: str, start: int) -> tuple[int, float]:
        """Length and weight of the surname at a place; (0, 0) where there is none."""
        if text[start : start + 2] in self.double:
            return 2, 2.0
        weight = self.surnames.get(text[start : start + 1], 0.0)
        return (1, weight) if weight else (0, 0.0)

    def weigh(self, letter: str) -> float:
        """How much a character is one of given names.

        2 frequent, 1 listed; ``_SELDOM`` outside of the 3,755 common ones (GB/T 2312's first
        level) and in no term of the lexicon; ``_ORDINARY`` where it may be a name's as well as
        any word's; ``_MEDICAL`` for one of many terms; 0 for one of grammar.
        """
        if listed := self.given.get(letter):
            return listed
        if letter in self._grammar:
            return 0.0
        if letter in _medical():
            return _MEDICAL
        return _SELDOM if _is_seldom(letter) else _ORDINARY

    def read(self, text: str, start: int, *, strict: bool = True) -> Reading | None:
        """The name that begins at ``start``, or None.

        Args:
            text: folded.
            start: offset of the surname.
            strict: ask for given names' characters and for no word across the edges; False
                where the context says that here is a name.
        """
        size, weight = self.surname(text, start)
        if not size:
            return None
        if strict and self.is_trap(text, start):
            return None
        options = list(self._options(text, start, size, weight, strict=strict))
        if len(options) == 2 and self._is_shorter(text, options):
            return options[1]
        return options[0] if options else None

    def read_all(self, text: str, start: int) -> list[Reading]:
        """The names with one and with two given characters that may begin at ``start``."""
        size, weight = self.surname(text, start)
        if not size or self.is_trap(text, start):
            return []
        return list(self._options(text, start, size, weight, strict=True))

    def is_marked(self, text: str, end: int) -> bool:
        """Whether a mark, a blank or the text's end stands here."""
        return _CLOSED.match(text, end) is not None and not text[end : end + 1].isdigit()

    def is_personal(self, text: str, end: int) -> bool:
        """Whether what says whose name it is stands behind it: sex, age, a phone."""
        return _PERSONAL.match(text, end) is not None

    def _options(
        self, text: str, start: int, size: int, weight: float, *, strict: bool
    ) -> Iterator[Reading]:
        for given in (2, 1):
            if reading := self._option(text, start, size, given, weight, strict=strict):
                yield reading

    def _option(
        self, text: str, start: int, size: int, given: int, weight: float, *, strict: bool
    ) -> Reading | None:
        own = text[start + size : start + size + given]
        if len(own) < given or not all("\u4e00" <= letter <= "\u9fff" for letter in own):
            return None
        if own in self._roles:
            return None
        weights = [self.weigh(letter) for letter in own]
        end = start + size + given
        closed = self.ends(text, end)
        known = min(weights) >= 1
        sure = weight > 1 or text[start] not in self.wordlike
        if strict and not known and not (closed and sure):
            return None
        if not closed and (strict or not known):
            bound = _edges(text[start : start + _WINDOW])
            if end - start not in bound:
                return None
        name = text[start:end]
        word = name in self.places or (size == 1 and is_word(name))
        possible = known or (sure and _may_be(own, min(weights)) and not _has_word(name))
        return Reading(end, sum(weights) / given, weight, closed, known, possible, word)

    def _is_shorter(self, text: str, options: list[Reading]) -> bool:
        """Whether of a name with two and with one given character the short one is meant."""
        long, short = options
        if not short.closed:
            return not long.closed and long.given < 0.6
        if not long.closed or text[short.end] in self.enders:
            return True
        # Both are closed: 张伟|代诉 against 张伟代|诉. A follower of two characters decides.
        follower = self.followers.match(text, short.end)
        return follower is not None and follower.end() - short.end > 1

    def ends(self, text: str, end: int) -> bool:
        """Whether a name may end here: a mark, the text's end or a word that follows names."""
        return bool(
            _CLOSED.match(text, end)
            or self.followers.match(text, end)
            or self.titles.match(text, end)
        )


@functools.lru_cache(maxsize=65_536)
def _edges(window: str) -> frozenset[int]:
    """Offsets where the dictionary's words end in a short piece of text."""
    ends, at = [], 0
    for token in rjieba.cut(window, False):
        at += len(token)
        ends.append(at)
    return frozenset(ends)


@functools.lru_cache(maxsize=65_536)
def is_word(text: str) -> bool:
    """Whether the dictionary has this as one word that is no name."""
    tagged = rjieba.tag(text, False)
    return len(tagged) == 1 and tagged[0][1] not in _NAME_TAGS


@functools.lru_cache(maxsize=65_536)
def is_function(text: str, tags: str = "tvdpcrmqf") -> bool:
    """Whether the dictionary has this as one word, of two characters or more, with such a tag."""
    tagged = rjieba.tag(text, False) if len(text) > 1 else []
    return len(tagged) == 1 and tagged[0][1][0] in tags and tagged[0][1] not in _NAME_TAGS


def repeats(detector: Detector, text: str, found: list[Span]) -> list[Span]:
    """The same names at other places of the text."""
    places = {span.start for span in found}
    kinds = {text[span.start : span.end]: span.kind for span in found if span.score >= _SURE}
    names = [re.escape(name) for name in kinds if len(name) > 1 and not is_word(name)]
    if not names:
        return []
    return [
        detector.span(*match.span(), 0.8, "a name found elsewhere in the text", kinds[match[0]])
        for match in re.finditer("|".join(sorted(names, key=len, reverse=True)), text)
        if match.start() not in places
    ]


def _is_seldom(letter: str) -> bool:
    """Whether it is none of GB/T 2312's first level, which covers 99.7 % of running text."""
    try:
        return letter.encode("gb2312")[0] >= _LEVEL_TWO and letter not in _in_terms()
    except UnicodeEncodeError:
        return letter not in _in_terms()


def _may_be(given: str, lowest: float) -> bool:
    """Whether given characters may be a name's; one of medicine only beside a seldom one."""
    return lowest >= _ORDINARY or (lowest == _MEDICAL and any(map(_is_seldom, given)))


def _has_word(name: str) -> bool:
    """Whether the dictionary has a word in it that names no thing and no person."""
    return any(len(word) > 1 and tag[0] != "n" for word, tag in rjieba.tag(name, False))


@functools.cache
def _in_terms() -> Counter[str]:
    """In how many forms of the lexicon each character stands."""
    return Counter(letter for term in _terms() for letter in set(term))


@functools.cache
def _medical() -> frozenset[str]:
    return frozenset(letter for letter, terms in _in_terms().items() if terms >= _FEWEST_TERMS)


@functools.cache
def _terms() -> frozenset[str]:
    """Terms of the lexicon that begin with a Chinese character, two to seven long."""
    return frozenset(
        form
        for entry in lexicon.load().entries
        for form in entry.forms
        if 2 <= len(form) <= 7 and not form.isascii()
    )


@functools.cache
def load_names() -> Names:
    """The shipped tables, compiled once a process."""
    return Names()

"""The gate: direct identifiers that are still in a text, found by other means than the detectors'.

Where the detectors read context, the gate reads bare characters: it folds the width, leaves out
what may stand between digits, and looks for numbers that are what they are by their own form:
a check digit, a birth date, an operator's prefix. Names it knows only from columns. A gate that
shared the detectors' patterns would be blind where they are.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from emrobust.deid import forms, known_name
from emrobust.deid.characters import as_array, change_all, widths
from emrobust.deid.operator import NAMES
from emrobust.deid.prefilter import join, matching
from emrobust.deid.relax import relax

DIRECT = frozenset(
    {"id_card", "phone", "email", "bank_card", "social_security", "passport"} | NAMES
)

_GAP = r"[ \t\r\n\u3000\xa0\-–—－‑‐.·]?"
_RUN = re.compile(rf"[0-9](?:{_GAP}[0-9]){{10,}}(?:{_GAP}[Xx×])?")  # a mobile has 11
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}\s?@\s?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}")
_PASSPORT = re.compile(r"(?<![A-Za-z0-9])(?:[EGDSP][0-9]{8}|E[A-HJ-NP-Z][0-9]{7})(?![A-Za-z0-9])")
_PASSPORT_CUE = re.compile(r"护照|passport", re.IGNORECASE)
# Other countries' passports have no shape of their own: nine digits, or one or two letters before.
_FOREIGN_PASSPORT = re.compile(
    r"(?i:passport)[^A-Za-z0-9\n]{1,3}(?:(?i:number|num|no|is)[^A-Za-z0-9\n]{1,3}){0,2}"
    r"([A-Z]{0,2}[0-9]{7,9})(?![A-Za-z0-9])"
)
_SECURITY = re.compile(
    r"(?:社保|社会保障|医保|医疗保险)[^\d\n，。；]{0,6}?([A-Z]?[0-9]{8,18})(?![0-9])"
)
_DASH = "[-‐‑–—−]"
# No area is 000, 666 or 9xx, no group 00, no serial 0000.
_AREA, _GROUP, _SERIAL = "(?!000|666|9)[0-9]{3}", "(?!00)[0-9]{2}", "(?!0000)[0-9]{4}"
_SSN = re.compile(
    rf"(?<![0-9A-Za-z])(?<!{_DASH}){_AREA}{_DASH}{_GROUP}{_DASH}{_SERIAL}(?![0-9A-Za-z]|{_DASH})"
)
_SSN_CUE = re.compile(
    rf"(?i:\bSSN|\bsocial security)[^0-9\n]{{0,16}}?({_AREA}[ ]?{_GROUP}[ ]?{_SERIAL})(?![0-9])"
)
# North America's plan: neither area nor exchange begins with 0 or 1.
_NANP = "[2-9][0-9]{2}"
_PHONE = re.compile(
    rf"(?<![0-9A-Za-z.])(?<!{_DASH})(?:\({_NANP}\)\s?{_NANP}(?:[ .]|{_DASH})[0-9]{{4}}"
    rf"|{_NANP}(?:\.{_NANP}\.|{_DASH}{_NANP}{_DASH})[0-9]{{4}})(?![0-9A-Za-z]|{_DASH}|\.[0-9])"
    r"(?!\s?(?:[mkuµμ]?g|mcg|m[lL]|IU|units?)\b)"
)
_PHONE_CUE = re.compile(
    r"(?i:\b(?:phone|tel|telephone|cell|mobile|fax|pager)\b)[^0-9\n]{0,4}?"
    rf"({_NANP} ?{_NANP} ?[0-9]{{4}})(?![0-9])"
)
# Numbers that words tell of or that are what they are by their dashes, and the group they stand in.
_SHAPED = (
    (_SECURITY, 1, "social_security"),
    (_SSN, 0, "social_security"),
    (_SSN_CUE, 1, "social_security"),
    (_FOREIGN_PASSPORT, 1, "passport"),
    (_PHONE, 0, "phone"),
    (_PHONE_CUE, 1, "phone"),
)
_MOBILE = re.compile(r"(?:0086|86)?(1[3-9][0-9]{9})")
_BANK = re.compile(r"(?:62|4|5[1-5]|35|37|60|68|69)[0-9]+")
_CHINESE_RUN = re.compile(r"[〇零幺一二三四五六七八九]{11,18}")
# Whatever NFKC could make a letter or a digit of: anything but ASCII, Chinese and its punctuation.
_COMPATIBLE = re.compile("[^\x00-\x7f\u3001-\u303f\u3400-\u9fff，。：；！？（）、～“”‘’…—·℃×]")
_SHORTEST_NAME = 2
_SHORTEST_VALUE = 5
_LONGEST = 19  # digits of a bank card
_YEARS = range(1900, 2100)


class Leak(NamedTuple):
    """A direct identifier in a text: offsets, never the characters themselves."""

    start: int
    end: int
    kind: str


def scan(text: str) -> list[Leak]:
    """Direct identifiers by their own form, in order."""
    plain = _fold(text)
    found = [*_numbers(plain)]
    found += [Leak(*m.span(), "email") for m in _EMAIL.finditer(plain)] if "@" in plain else []
    if _PASSPORT_CUE.search(plain):
        found += [Leak(*m.span(), "passport") for m in _PASSPORT.finditer(plain)]
    found += [
        Leak(*match.span(group), kind)
        for pattern, group, kind in _SHAPED
        for match in pattern.finditer(plain)
    ]
    return sorted(set(found))


def suspects(texts: Sequence[str]) -> Sequence[int]:
    """Numbers of the texts in which `scan` may find something."""
    return matching(as_array(change_all(texts, widths())), _triggers())


@functools.cache
def _triggers() -> str | None:
    shaped = (pattern for pattern, _, _ in _SHAPED)
    return join([relax(p) for p in (_RUN, _EMAIL, _PASSPORT, _CHINESE_RUN, *shaped)])


def find_known(text: str, known: Mapping[str, Iterable[str]]) -> list[Leak]:
    """Where values of the row's columns stand, whatever blanks are between their characters.

    Values are compared without width, case and blanks; those of one character are passed over.
    """
    plain = _fold(text)
    squeezed, places = _squeeze(plain)
    found = []
    for kind, values in known.items():
        for value in _spelled(values) if kind in NAMES else values:
            key, _ = _squeeze(_fold(value))
            if len(key) < (_SHORTEST_NAME if kind in NAMES else _SHORTEST_VALUE):
                continue
            at = squeezed.find(key)
            while at >= 0:
                start, end = places[at], places[at + len(key) - 1] + 1
                if _is_whole(plain, start, end):
                    found.append(Leak(start, end, kind))
                at = squeezed.find(key, at + 1)
    return sorted(set(found))


def _spelled(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield from known_name.spellings(name)


def outside(leaks: Iterable[Leak], edits: Sequence[tuple[int, int]]) -> list[Leak]:
    """The leaks that are not all inside of one of the operator's own words."""
    return [k for k in leaks if not any(a <= k.start and k.end <= b for a, b in edits)]


def _fold(text: str) -> str:
    """ASCII for every compatible character, one for one, so that offsets stay."""
    if not _COMPATIBLE.search(text):
        return text
    return "".join(
        c if "\u4e00" <= c <= "\u9fff" or len(n := unicodedata.normalize("NFKC", c)) != 1 else n
        for c in text
    )


def _squeeze(text: str) -> tuple[str, list[int]]:
    """The text without blanks and hyphens in lower case, and where each character came from."""
    places = [i for i, c in enumerate(text) if not c.isspace() and c not in "-–—·•"]
    return "".join(text[i] for i in places).lower(), places


def _is_whole(text: str, start: int, end: int) -> bool:
    """A number is no part of a longer one, and a Latin name no part of a word."""
    return not (
        _goes_on(text[start - 1 : start], text[start])
        or _goes_on(text[end - 1], text[end : end + 1])
    )


def _goes_on(one: str, other: str) -> bool:
    """Whether two neighbours are of one number or one Latin word."""
    latin = (one + other).isascii() and one.isalnum() and other.isalnum()
    return latin and one.isdigit() == other.isdigit()


def _numbers(plain: str) -> Iterator[Leak]:
    for run in _RUN.finditer(plain):
        yield from _classify(run[0], run.start())
    for run in _CHINESE_RUN.finditer(plain):
        kind = _kind(forms.digits_of(run[0]))
        if kind:
            yield Leak(*run.span(), kind)


def _classify(run: str, start: int) -> Iterator[Leak]:
    """The parts of a run of digits that are identifiers: the whole, or its groups."""
    places = [i for i, c in enumerate(run) if c.isdigit() or c in "Xx×"]
    digits = "".join(run[i] for i in places).upper().replace("×", "X")
    breaks = [0, *(i for i in range(1, len(places)) if places[i] > places[i - 1] + 1), len(places)]
    taken = 0
    for at, first in enumerate(breaks[:-1]):
        if first < taken:
            continue
        near = breaks[at + 1 : at + 1 + _LONGEST]  # so that long runs take linear time
        for last in reversed([b for b in near if b - first <= _LONGEST]):
            kind = _kind(digits[first:last])
            if kind:
                yield Leak(start + places[first], start + places[last - 1] + 1, kind)
                taken = last
                break


def _kind(digits: str) -> str | None:
    size = len(digits)
    if size == 18 and digits[:17].isdigit() and _is_born(digits[6:14]):
        return "id_card" if forms.id_check(digits[:17]) == digits[17] else None
    if not digits.isdigit():
        return None
    if size == 15 and _is_born("19" + digits[6:12]) and "11" <= digits[:2] <= "82":
        return "id_card"
    if 11 <= size <= 15 and _MOBILE.fullmatch(digits):
        return "phone"
    if size in (16, 18, 19) and _BANK.fullmatch(digits) and not _is_time(digits):
        return "bank_card" if forms.luhn_check(digits[:-1]) == digits[-1] else None
    return None


def _is_born(digits: str) -> bool:
    try:
        return dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).year in _YEARS
    except ValueError:
        return False


def _is_time(digits: str) -> bool:
    """Numbers of visits and images often begin with their day."""
    return digits[:2] in ("19", "20") and _is_born(digits[:8])

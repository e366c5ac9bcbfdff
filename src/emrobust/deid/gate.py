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

from emrobust.deid import forms
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
_SECURITY = re.compile(
    r"(?:社保|社会保障|医保|医疗保险)[^\d\n，。；]{0,6}?([A-Z]?[0-9]{8,18})(?![0-9])"
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
    found += [Leak(*m.span(1), "social_security") for m in _SECURITY.finditer(plain)]
    return sorted(set(found))


def suspects(texts: Sequence[str]) -> Sequence[int]:
    """Numbers of the texts in which `scan` may find something."""
    return matching(as_array(change_all(texts, widths())), _triggers())


@functools.cache
def _triggers() -> str | None:
    return join([relax(p) for p in (_RUN, _EMAIL, _PASSPORT, _SECURITY, _CHINESE_RUN)])


def find_known(text: str, known: Mapping[str, Iterable[str]]) -> list[Leak]:
    """Where values of the row's columns stand, whatever blanks are between their characters.

    Values are compared without width, case and blanks; those of one character are passed over.
    """
    squeezed, places = _squeeze(_fold(text))
    found = []
    for kind, values in known.items():
        for value in values:
            key, _ = _squeeze(_fold(value))
            if len(key) < (_SHORTEST_NAME if kind in NAMES else _SHORTEST_VALUE):
                continue
            at = squeezed.find(key)
            while at >= 0:
                if _is_whole(squeezed, at, key):
                    found.append(Leak(places[at], places[at + len(key) - 1] + 1, kind))
                at = squeezed.find(key, at + 1)
    return sorted(set(found))


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


def _is_whole(text: str, at: int, key: str) -> bool:
    """A number is no part of a longer one, and a Latin name no part of a word."""
    before, after = text[at - 1 : at], text[at + len(key) : at + len(key) + 1]
    if key[0].isascii() and before.isascii() and before.isalnum():
        return before.isdigit() != key[0].isdigit()
    if key[-1].isascii() and after.isascii() and after.isalnum():
        return after.isdigit() != key[-1].isdigit()
    return True


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

"""Resident identity cards, 18 and 15 digits: region, date of birth and check character.

A number that fails the checksum but has a real region and date is still taken: a typing error
doesn't make it harmless.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterable
from typing import ClassVar

from emrobust.deid.labelled import Labelled
from emrobust.deid.spans import Span
from emrobust.deid.tables import read_csv
from emrobust.registry import register

_GAP = r"[ \t\r\n_-]{0,3}"
_CARD = re.compile(rf"[1-8](?<![\d.].)(?:{_GAP}\d){{13,16}}{_GAP}[\dXx*](?![\dA-Za-z])")
_NOISE = re.compile(r"[\s_-]")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_LONG, _SHORT = 18, 15


@register("detector")
class IdentityCard(Labelled):
    """A resident identity card's number."""

    kinds: ClassVar[tuple[str, ...]] = ("id_card",)
    source: ClassVar[str] = "GB 11643-1999; regions of GB/T 2260 (regions.csv)"
    shapes = (_CARD,)
    value: ClassVar[str] = rf"[1-8](?:{_GAP}[\d*]){{13,16}}{_GAP}[\dXx*](?![\dA-Za-z])"
    shortest: ClassVar[int] = 15
    score: ClassVar[float] = 0.99

    def more(self, text: str) -> Iterable[Span]:
        """See `Labelled.more`."""
        for match in _CARD.finditer(text):
            number = _NOISE.sub("", match[0]).upper()
            if is_plausible(number):
                checked = len(number) == _LONG and id_check(number[:17]) == number[17]
                evidence = "region and date of birth" + (", checksum" if checked else "")
                yield self.span(*match.span(), 1.0 if checked else 0.98, evidence)


def id_check(body: str) -> str:
    """The check character of the first 17 digits (GB 11643-1999)."""
    return _CHECKS[sum(w * int(d) for w, d in zip(_WEIGHTS, body, strict=True)) % 11]


def is_plausible(number: str) -> bool:
    """Whether 15 or 18 characters begin with a region and a date of birth."""
    if len(number) not in (_SHORT, _LONG) or not number[:-1].isdigit():
        return False
    if len(number) == _SHORT and not number.isdigit():
        return False
    born = number[6:14] if len(number) == _LONG else f"19{number[6:12]}"
    return number[:4] in _regions() and _is_birthday(born)


def _is_birthday(born: str) -> bool:
    try:
        day = dt.date(int(born[:4]), int(born[4:6]), int(born[6:]))
    except ValueError:
        return False
    return 1880 <= day.year <= 2100


@functools.cache
def _regions() -> frozenset[str]:
    """Province and prefecture, four digits, with those of former times."""
    found = set()
    for row in read_csv("regions.csv"):
        for part in row["prefectures"].split():
            first, _, last = part.partition("-")
            found |= {f"{row['code']}{n:02d}" for n in range(int(first), int(last or first) + 1)}
    return frozenset(found)

"""Diagnoses as doctors type them: ``1.急性上呼吸道感染 2.高血压病``, ``/``, ``待查``, ``N/A``.

Only numbering and words for "none" are understood. Two names of one disease stay two classes: that
they are one is for the class table to say.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from emrobust.config import Labels

NOTHING = (
    *("/", "\\", "-", "无", "待查", "诊断待查", "同前"),
    *("n/a", "none", "nil", "unknown", "pending", "tbd", "see above"),
)

# What counts the diagnoses of a cell: at its start or behind a blank, with a name behind it. A
# digit behind the point belongs to an amount (2.5cm), but that of a type or grade begins a name:
# the first diagnosis of 1.2型糖尿病 is 2型糖尿病.
_NUMBERING = re.compile(
    r"(?:^|(?<=\s))"
    r"(?:\d{1,2}\s*[.．、](?!\d(?![型级期度]))|[(（]?\d{1,2}[)）]|[\u2460-\u249b])"
    r"\s*(?=\S)"
)


def split(cell: str) -> list[str]:
    """The names of a cell without their numbering."""
    return [name for part in _NUMBERING.split(cell) if (name := part.strip())]


def means_nothing(cell: str, settings: Labels) -> bool:
    """Whether the cell is a word for "no diagnosis": by default, only names have such words."""
    default = NOTHING if settings.kind == "plain" else ()
    return _fold(cell) in _folded(default if settings.nothing is None else settings.nothing)


@functools.cache
def _folded(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_fold, words))


def _fold(cell: str) -> str:
    return unicodedata.normalize("NFKC", cell).strip().casefold()

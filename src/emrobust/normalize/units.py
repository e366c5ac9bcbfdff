"""Units behind numbers in one writing: 2d → 2天, 3w → 3周, mmhg → mmHg, °C → ℃.

The number itself is never part of an edit. A unit that may mean something else is left alone
unless its number and its neighbours fit (``units.csv``): 3D, 300W, 坠落3m, q8h.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, NamedTuple

from emrobust.errors import ConfigError
from emrobust.normalize.alignment import Edit
from emrobust.normalize.step import Step, alternatives, rows, words
from emrobust.registry import register

FILE = "units.csv"
_DEGREES = re.compile(r"(?:3[4-9]|4[0-2])(?:\.\d)?( ?度)(?![角弯屈伸\d])")
# 2dT38.5: what follows a unit directly may be the next reading.
_READING = r"(?:T|P|R|BP|HR|RR|SpO2) ?[:：]? ?\d"
_WARM = re.compile(r"(?:热|烧|温|[Tt](?:max)?)[^\d\n]{0,4}$")


class _Unit(NamedTuple):
    name: str
    low: float
    high: float
    whole: bool
    not_before: frozenset[str]
    not_after: frozenset[str]


@register("normalizer")
class Units(Step):
    """Units by a table of their writings."""

    order: ClassVar[int] = 50
    files: ClassVar[tuple[str, ...]] = (FILE,)

    def __init__(self, tables: Path | None = None) -> None:
        super().__init__(tables)
        self._units: dict[str, _Unit] = {}
        for line, row in rows(self.table(FILE)):
            try:
                low, high = float(row["low"] or "-inf"), float(row["high"] or "inf")
            except ValueError:
                raise ConfigError(f"line {line} of {FILE}: `low`, `high` are no numbers") from None
            unit = _Unit(
                row["unit"],
                low,
                high,
                bool(row["whole"]),
                frozenset(row["not_before"]),
                frozenset(row["not_after"]),
            )
            self._units.update(dict.fromkeys(words(row["writings"]), unit))
        self._pattern = re.compile(
            rf"([\d一二两三四五六七八九十半几数](?<!\d\d)[\d.]*) ?"
            rf"({alternatives(self._units)})(?:(?<![A-Za-z])|(?![A-Za-z])|(?={_READING}))"
        )

    def edits(self, text: str) -> list[Edit]:
        """See `Step.edits`."""
        found, last = [], 0
        for match in self._pattern.finditer(text):
            unit = self._units[match[2]]
            start, end = match.end(1), match.end()
            # In 1h9m a number follows a unit; in q8h it follows a letter of another word.
            if _fits(unit, text, match, free=match.start() == last > 0):
                last = end
                if text[start:end] != unit.name:
                    found.append(Edit(start, end, unit.name))
        if "度" in text:
            found += _degrees(text)
            found.sort()
        return found


def _fits(unit: _Unit, text: str, match: re.Match[str], *, free: bool) -> bool:
    """Whether the writing is a unit here; a bounded one needs a number that stands free."""
    if unit.low == float("-inf"):
        return True
    start = match.start()
    before, after = text[max(0, start - 1) : start], text[match.end() : match.end() + 1]
    if before in unit.not_before or after in unit.not_after:
        return False
    number = match[1]
    if not number[0].isdigit():
        return not match[2].isascii()
    if before.isascii() and before.isalpha() and not free:
        return False
    try:
        value = float(number)
    except ValueError:
        return False
    return unit.low < value <= unit.high and (value.is_integer() or not unit.whole)


def _degrees(text: str) -> list[Edit]:
    """度 is ℃ behind a temperature: 体温38.5度, 烧到39度; not 屈曲38度."""
    return [
        Edit(*match.span(1), "℃")
        for match in _DEGREES.finditer(text)
        if not text[: match.start()][-1:].isdigit()
        and _WARM.search(text, max(0, match.start() - 9), match.start())
    ]

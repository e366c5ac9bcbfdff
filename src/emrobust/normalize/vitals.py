"""Vital signs with their full name and unit: T38.5 → 体温38.5℃, BP120/80 → 血压120/80mmHg.

The number stays as it is, and must be plausible: T4 is a vertebra, P2 a heart sound, R31 a code.
Behind a name that has other meanings a bare number needs to be more plausible still
(``alone_low`` to ``alone_high`` of ``vitals.csv``), unless another vital sign stands beside it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, NamedTuple

from emrobust.errors import ConfigError
from emrobust.normalize.alignment import Edit
from emrobust.normalize.step import Step, alternatives, rows, words
from emrobust.registry import register

FILE = "vitals.csv"
_NUMBER = r"\d{1,5}(?:\.\d{1,2})?"
# A letter, unless it begins the next reading (T36.5P80).
_LETTER = r"(?:[a-z]|[A-Z](?![A-Za-z]{0,3}[ :：]{0,2}\d))"
# What a number of another kind goes on with: ×10, ml/h, (+) of a stain, 38号, a third value.
_OTHER = (
    rf"(?!\d|\.\d|[:：]\d|,\d{{3}}(?!\d)| ?[-~—–]|[×*^/%+°℃度斤]|{_LETTER}| ?\([+-]"
    r"|[号椎级期型岁年月])"
)
_NEAR = 8


class _Vital(NamedTuple):
    name: str
    formal: str
    low: float
    high: float
    pair: tuple[float, float] | None
    decimals: int
    unit: str
    alone: tuple[float, float] | None
    alone_except: frozenset[str]


@register("normalizer")
class Vitals(Step):
    """Readings by a table of names, plausible values and units."""

    order: ClassVar[int] = 60
    files: ClassVar[tuple[str, ...]] = (FILE,)

    def __init__(self, tables: Path | None = None) -> None:
        super().__init__(tables)
        self._vitals: dict[str, _Vital] = {}
        self._units: dict[str, frozenset[str]] = {}
        for line, row in rows(self.table(FILE)):
            vital = _read(line, row)
            self._units[vital.name] = frozenset({vital.unit, *words(row["unit_writings"])})
            self._vitals.update(dict.fromkeys(words(row["writings"]), vital))
        units = alternatives(unit for units in self._units.values() for unit in units)
        self._pattern = re.compile(
            rf"({alternatives(self._vitals)})([ ]?[:：=]?[ ]?)"
            rf"(?P<value>{_NUMBER})(?: ?[-~—–] ?(?P<to>{_NUMBER}))?(?: ?/ ?(?P<second>\d{{2,3}}))?"
            rf"(?:(?P<unit> ?{units})(?!\d)(?:(?<![A-Za-z])|(?!{_LETTER}))|{_OTHER})"
        )

    def edits(self, text: str) -> list[Edit]:
        """See `Step.edits`."""
        read = [
            (vital, match)
            for match in self._pattern.finditer(text)
            if self._fits(vital := self._vitals[match[1]], match)
        ]
        found: list[Edit] = []
        for place, (vital, match) in enumerate(read):
            start, end = match.span()
            behind = place and start - read[place - 1][1].end() <= _NEAR
            before = place + 1 < len(read) and read[place + 1][1].start() - end <= _NEAR
            glued = start and text[start - 1].isascii() and text[start - 1].isalnum()
            # T36.5P80: a name stands behind a digit only where the last reading ended.
            if glued and not (place and read[place - 1][1].end() == start):
                continue
            if match["unit"] or _may_be_bare(vital, match, beside=bool(behind or before)):
                found += _write(vital, match)
        return found

    def _fits(self, vital: _Vital, match: re.Match[str]) -> bool:
        """Whether numbers, decimals and unit are such as this vital sign has."""
        unit = match["unit"]
        if unit and unit.strip() not in self._units[vital.name]:
            return False
        if (vital.pair is None) != (match["second"] is None):
            return False
        if vital.pair and match["second"]:
            low, high = vital.pair
            if not (low <= float(match["second"]) <= high) or float(match["second"]) >= float(
                match["value"]
            ):
                return False
        numbers = [number for number in (match["value"], match["to"]) if number]
        return all(
            vital.low <= float(number) <= vital.high
            and len(number.partition(".")[2]) <= vital.decimals
            for number in numbers
        )


def _may_be_bare(vital: _Vital, match: re.Match[str], *, beside: bool) -> bool:
    """Whether a number without a unit can only be this vital sign."""
    if vital.alone is None:
        return False
    if beside:  # another reading
        return True
    if match["value"] in vital.alone_except:
        return False
    return vital.alone[0] <= float(match["value"]) <= vital.alone[1]


def _write(vital: _Vital, match: re.Match[str]) -> list[Edit]:
    """Edits of the name and of the unit; the numbers between them are not touched."""
    start, value = match.start(), match.start("value")
    numbers_end = max(match.end(group) for group in ("value", "to", "second"))
    given = match[1] + match[2], match["unit"] or ""
    found = []
    if given[0] != vital.formal:
        found.append(Edit(start, value, vital.formal))
    if given[1] != vital.unit:
        found.append(Edit(numbers_end, match.end(), vital.unit))
    return found


def _read(line: int, row: dict[str, str]) -> _Vital:
    def pair(low: str, high: str) -> tuple[float, float] | None:
        return (float(row[low]), float(row[high])) if row[low] else None

    try:
        return _Vital(
            row["vital"],
            row["formal"],
            float(row["low"]),
            float(row["high"]),
            pair("low2", "high2"),
            int(row["decimals"]),
            row["unit"],
            pair("alone_low", "alone_high"),
            frozenset(words(row["alone_except"])),
        )
    except ValueError:
        raise ConfigError(f"line {line} of {FILE}: a bound is no number") from None

"""Readings, durations and doses whose number stays: 体温38.5℃ ↔ T 38.5, 2天 ↔ 2d.

Each row of ``measures.csv`` has writings of one measure by register, with ``{n}`` where a number
stands. A row's bounds keep T4, the vertebra, from being a temperature.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from emrobust.lexicon.table import (
    FOLDER,
    MEASURES,
    REGISTERS,
    Register,
    cells,
    fail,
    find_table,
    words,
)

_COLUMNS = (
    "name",
    *REGISTERS,
    "low",
    "high",
    "low2",
    "high2",
    "not_before",
    "not_after",
    "source",
)
_SLOT = "{n}"
_BOUNDS = (("low", "high"), ("low2", "high2"))
_SHAPE = re.compile(r"([^{}/]*)\{n\}(/\{n\})?([^{}]*)")
_NUMBERS = re.compile(r"(\d+(?:\.\d+)?)(?:/(\d+(?:\.\d+)?))?")
_LATIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_[]")
_GOES_ON = frozenset(".%℃°/度次") | _LATIN  # what a bare number must not go on with


class _Row(NamedTuple):
    name: str
    writings: dict[Register, tuple[str, ...]]
    bounds: tuple[tuple[float, float], ...]
    not_before: frozenset[str]
    not_after: frozenset[str]


class Reading(NamedTuple):
    """A measure in a text.

    Attributes:
        start: offset of its first character.
        end: offset behind its last.
        name: the row that it is of.
        register: the register that it is written in.
        numbers: its numbers as they stand there.
    """

    start: int
    end: int
    name: str
    register: Register
    numbers: tuple[str, ...]


# A number, or two with a stroke between them, as it stands in a text.
Number = re.Match[str]


def find_numbers(text: str) -> list[Number]:
    """Where measures may stand, from left to right."""
    return list(_NUMBERS.finditer(text))


class Measures:
    """Finds and writes measures.

    Args:
        rows: as `load_measures` reads them.
    """

    def __init__(self, rows: Iterable[_Row]) -> None:
        self._rows = {row.name: row for row in rows}
        # numbers and what stands before them → what stands behind → row and register
        self._at: dict[tuple[int, str], dict[str, tuple[_Row, Register]]] = {}
        for row in self._rows.values():
            for register, writings in row.writings.items():
                for writing in writings:
                    before, count, after = _parts(writing)
                    behind = self._at.setdefault((count, before), {})
                    behind.setdefault(after, (row, register))
        # the last character before a number → how long what stands before it may be
        lasts = {before[-1:] for _, before in self._at}
        self._before = {
            last: _sizes(b for _, b in self._at if b[-1:] == last or not b) for last in lasts
        }
        # the same, and the first character behind the numbers → how long what stands there may be
        self._behind = {
            key: {
                first: _sizes(b for b in behind if b[:1] == first or not b)
                for first in {b[:1] for b in behind}
            }
            for key, behind in self._at.items()
        }
        # Numbers that are farther apart than this cannot want the same characters.
        self._reach = max((len(b) for _, b in self._at), default=0) + max(
            (len(a) for behind in self._at.values() for a in behind), default=0
        )
        # the first character behind numbers → how long what stands there may be at most
        self._longest: dict[str, int] = {}
        for after in (after for behind in self._at.values() for after in behind):
            self._longest[after[:1]] = max(self._longest.get(after[:1], 0), len(after))

    def find(self, text: str) -> list[Reading]:
        """Measures from left to right, whose numbers lie inside their bounds."""
        found = self._follow(text, find_numbers(text))
        return [reading for reading in found if reading is not None]

    def read(self, text: str, numbers: Sequence[Number], which: int) -> Reading | None:
        """The measure of one of a text's numbers, as `find` reads it.

        Of the numbers before it only those are read that may want the same characters.
        """
        alone = self._read(text, numbers[which], 0)
        if alone is None:
            return None
        first = which
        while first and numbers[first].start() - numbers[first - 1].end() < self._reach:
            first -= 1
        if all(self._limit(text, number) <= alone.start for number in numbers[first:which]):
            return alone
        *_, reading = self._follow(text, numbers[first : which + 1])
        return reading

    def _limit(self, text: str, number: Number) -> int:
        """Where the measure of a number ends at the latest."""
        end = number.end()
        return end + self._longest.get(text[end : end + 1], 0)

    def _follow(self, text: str, numbers: Iterable[Number]) -> Iterator[Reading | None]:
        """The measure of each number; none takes what belongs to the one before it."""
        end = 0
        for number in numbers:
            reading = self._read(text, number, end)
            end = end if reading is None else reading.end
            yield reading

    def _read(self, text: str, match: Number, done: int) -> Reading | None:
        """The longest writing around a number, none of it before ``done``."""
        first, last = match.span()
        numbers = (match[1],) if match[2] is None else (match[1], match[2])
        for size in self._before.get(text[first - 1 : first], (0,)):
            start = first - size
            if start < done:
                continue
            key = len(numbers), text[start:first]
            behind = self._behind.get(key)
            if behind is None:
                continue
            for length in behind.get(text[last : last + 1], behind.get("", [])):
                end = min(last + length, len(text))
                known = self._at[key].get(text[last:end])
                if known and _fits(known[0], numbers) and _is_free(text, start, end, known[0]):
                    return Reading(start, end, known[0].name, known[1], numbers)
        return None

    def has(self, reading: Reading, register: Register) -> bool:
        """Whether a reading can be written in a register."""
        return bool(self._rows[reading.name].writings[register])

    def write(self, reading: Reading, register: Register) -> list[str]:
        """The reading's writings in a register, with the numbers as they were."""
        return [
            _fill(writing, reading.numbers)
            for writing in self._rows[reading.name].writings[register]
        ]


def _parts(writing: str) -> tuple[str, int, str]:
    """What stands before the numbers, how many they are, and what stands behind."""
    shape = _SHAPE.fullmatch(writing)
    if shape is None:
        raise ValueError(writing)
    return shape[1], 2 if shape[2] else 1, shape[3]


def _sizes(words: Iterable[str]) -> list[int]:
    return sorted({len(word) for word in words}, reverse=True)


def _fits(row: _Row, numbers: Iterable[str]) -> bool:
    return all(
        low <= float(number) <= high
        for number, (low, high) in zip(numbers, row.bounds, strict=False)
    )


def _is_free(text: str, start: int, end: int, row: _Row) -> bool:
    """Whether letters and numbers end where the writing does, and its neighbours suit the row."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if before and (
        before in row.not_before or (text[start] in _LATIN and before in _LATIN | {"."})
    ):
        return False
    if after and (after in row.not_after or (text[end - 1] in _LATIN and after in _LATIN)):
        return False
    return not (after and text[end - 1].isdigit() and after in _GOES_ON)


def _fill(writing: str, numbers: Iterable[str]) -> str:
    for number in numbers:
        writing = writing.replace(_SLOT, number, 1)
    return writing


@functools.lru_cache(maxsize=4)
def load_measures(folder: Path = FOLDER) -> Measures:
    """The shipped measures, or those of a folder of the user's.

    Raises:
        ConfigError: the table is missing or a row is wrong; all problems with their lines.
    """
    rows: list[_Row] = []
    problems: list[str] = []
    for line, row in cells(find_table(folder, MEASURES), _COLUMNS):
        writings: dict[Register, tuple[str, ...]] = {name: words(row[name]) for name in REGISTERS}
        problems += (f"{MEASURES}, line {line}: {why}" for why in _wrong(row, writings))
        if any(old.name == row["name"] for old in rows):
            problems.append(f"{MEASURES}, line {line}: the name is there twice.")
        rows.append(
            _Row(
                row["name"],
                writings,
                _bounds(row),
                frozenset(row["not_before"]),
                frozenset(row["not_after"]),
            )
        )
    fail(problems)
    return Measures(rows)


def _wrong(row: dict[str, str], writings: dict[Register, tuple[str, ...]]) -> Iterator[str]:
    """What is wrong with a row by itself."""
    if not writings["formal"]:
        yield "it has no formal writing."
    if not all(_SHAPE.fullmatch(writing) for of in writings.values() for writing in of):
        yield "a writing has no {n} or {n}/{n}, or more of them."
    if len({writing.count(_SLOT) for of in writings.values() for writing in of}) > 1:
        yield "its writings differ in the count of their numbers."
    for low, high in _BOUNDS:
        if (row[low] or row[high]) and not _is_range(row[low], row[high]):
            yield f"{low} and {high} are no range of numbers."


def _is_range(low: str, high: str) -> bool:
    try:
        return float(low) <= float(high)
    except ValueError:
        return False


def _bounds(row: dict[str, str]) -> tuple[tuple[float, float], ...]:
    return tuple(
        (float(row[low]), float(row[high]))
        for low, high in _BOUNDS
        if _is_range(row[low], row[high])
    )

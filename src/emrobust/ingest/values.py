"""From the cells of a source to the values of the records table.

Each function takes string arrays [n] and gives an array [n]. What cannot be understood
becomes null; the caller counts it.
"""

from __future__ import annotations

import ast
import datetime as dt
import functools
import json
import re
import tomllib
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emrobust import records

DateOrder = Literal["ymd", "mdy", "dmy"]
OLDEST = 130.0  # years; more is a typing error

_WORDS = tomllib.loads(
    resources.files(__package__).joinpath("words.toml").read_text(encoding="utf-8")
)
_EMPTY = frozenset(_WORDS["empty"])
_LONGEST_EMPTY = max(map(len, _EMPTY))
_SEX = {word: sex for sex, words in _WORDS["sex"].items() for word in words}
_PER_YEAR = {word: unit["per_year"] for unit in _WORDS["age"] for word in unit["words"]}

_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([^\d\s.,+-][^\d.,+-]*|)")
_TIME = re.compile(
    r"((?:19|20)\d{2})[-/.年](\d{1,2})[-/.月](\d{1,2})日?"
    r"(?:[\sT]*(\d{1,2})[:时](\d{1,2})分?(?::?(\d{1,2})秒?(?:\.\d+)?)?)?"
    r"\s*(?:Z|[+-]\d{2}:?\d{2})?"
)
_YEAR_LAST = re.compile(
    r"(\d{1,2})[-/.](\d{1,2})[-/.]((?:19|20)\d{2})"
    r"(?:[\sT]*(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.\d+)?)?\s*(am|pm)?)?",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"((?:19|20)\d{2})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?")
_SERIAL = re.compile(r"\d{5}(?:\.\d+)?")
_EXCEL_EPOCH = dt.datetime(1899, 12, 30)  # noqa: DTZ001 - the records table holds local time
_ISO = r"^(?:19|20)\d{2}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2})?)?$"
# The numbering of a name, typed as ``1、``. Numbers and codes may themselves be labels (``1、2``).
_NUMBERED = re.compile(
    r"(?:(?<=[\s;；,，、])|^)(\d{1,2})\s*、\s*"
    r"(?!\d+\s*(?:[\s;；,，、]|$))(?![A-Za-z]\d\d)(?=\S)"
)
_LONGEST_LIST = 100_000


def text(cells: pa.Array) -> tuple[pa.Array, int]:
    """Text without blank edges, words for "empty" or control characters; never null.

    Returns:
        the text, and in how many cells control characters became spaces.
    """
    cells = _plain(cells)
    replaced = 0
    if _holds_control(cells):
        # A carriage return is how some systems write a new line.
        cells = pc.replace_substring_regex(cells, "\r\n?", "\n")
        found = pc.match_substring_regex(cells, _CONTROL)
        replaced = pc.sum(found).as_py() or 0
        if replaced:
            cells = pc.replace_substring_regex(cells, _CONTROL, " ")
    return _without_empty(pc.utf8_trim_whitespace(cells)), replaced


def identifiers(cells: pa.Array) -> pa.Array:
    """Numbers of visits and patients, or short names: trimmed, ``""`` where there is none."""
    cells = _plain(cells)
    if _holds_control(cells):
        cells = pc.replace_substring_regex(cells, r"[\x00-\x1f\x7f]", " ")
    return _without_empty(pc.utf8_trim_whitespace(cells))


def _plain(cells: pa.Array) -> pa.Array:
    return pc.fill_null(cells, "") if cells.null_count else cells


def _holds_control(cells: pa.Array) -> bool:
    """Whether there is a control character other than tab and new line."""
    data = _bytes(cells)
    low = data[data < 0x20]
    return bool(((low != 0x09) & (low != 0x0A)).any() or (data == 0x7F).any())


def _bytes(cells: pa.Array) -> np.ndarray:
    """The bytes of all cells in one array of uint8."""
    _, offsets, data = cells.buffers()
    if data is None or not len(cells):
        return np.zeros(0, dtype=np.uint8)
    bounds = np.frombuffer(offsets, dtype=np.int32)
    first, last = bounds[cells.offset], bounds[cells.offset + len(cells)]
    return np.frombuffer(data, dtype=np.uint8)[first:last]


def _without_empty(cells: pa.Array) -> pa.Array:
    lengths = pc.binary_length(cells)
    short = pc.and_(pc.greater(lengths, 0), pc.less_equal(lengths, _LONGEST_EMPTY))
    few = pc.filter(cells, short)
    if not len(few):
        return cells
    lowered = pc.utf8_lower(few)
    kept = pc.if_else(pc.is_in(lowered, pa.array(sorted(_EMPTY))), "", few)
    return pc.replace_with_mask(cells, short, kept)


def sexes(cells: pa.Array) -> pa.Array:
    """``M``, ``F`` or null."""
    return _by_word(cells, parse_sex, pa.string())


def splits(cells: pa.Array) -> pa.Array:
    """``train``, ``validation`` or ``test``; null for anything else."""
    lower = pc.utf8_lower(cells)
    known = pc.is_in(lower, pa.array(records.SPLITS))
    return pc.if_else(known, lower, pa.scalar(None, pa.string()))


def ages(cells: pa.Array) -> pa.Array:
    """Years as float32, or null."""
    return _by_word(cells, parse_age, pa.float32())


def _by_word(cells: pa.Array, parse: Callable[[str], Any], kind: pa.DataType) -> pa.Array:
    """Apply a function of one cell, once for every different cell."""
    encoded = pc.dictionary_encode(_plain(cells))
    values = pa.array([parse(cell) for cell in encoded.dictionary.to_pylist()], kind)
    return values.take(encoded.indices)


def fold(cell: str) -> str:
    """One width, no case, no blank edges: the form in which words are compared."""
    return unicodedata.normalize("NFKC", cell).strip().casefold()


def parse_sex(cell: str) -> str | None:
    """``M`` or ``F`` from a word or the number of GB/T 2261.1."""
    return _SEX.get(fold(cell).removesuffix(".0"))


def parse_age(cell: str) -> float | None:
    """Years from ``45``, ``45岁``, ``8个月``, ``3岁6月``, ``12天`` or ``30+``."""
    rest = fold(cell).removesuffix("+").strip().lstrip("<>≥≤约 ")
    years, end = 0.0, 0
    for amount in _AMOUNT.finditer(rest):
        unit = _PER_YEAR.get(amount[2].strip())
        if unit is None or rest[end : amount.start()].strip():
            return None
        years, end = years + float(amount[1]) / unit, amount.end()
    return years if end and end == len(rest) and years <= OLDEST else None


def times(cells: pa.Array, order: DateOrder = "ymd") -> pa.Array:
    """Moments as timestamp[ms] of local time, or null.

    Args:
        cells: text.
        order: see `parse_time`.
    """
    trimmed = pc.utf8_trim_whitespace(_plain(cells))
    tidy = pc.replace_substring(trimmed, "/", "-")
    iso = pc.match_substring_regex(tidy, _ISO)
    if pc.all(iso).as_py() is False:
        tidy = pc.replace_substring_regex(tidy, r"\b(\d)\b", r"0\1")
        iso = pc.match_substring_regex(tidy, _ISO)
    try:
        found = pc.if_else(iso, tidy, pa.scalar(None, pa.string())).cast(pa.timestamp("ms"))
    except pa.ArrowInvalid:  # one of them is a day like 30 February
        found = pa.nulls(len(cells), pa.timestamp("ms"))
    missing = pc.and_(pc.is_null(found), pc.not_equal(trimmed, ""))
    slow = [parse_time(cell, order) for cell in trimmed.filter(missing).to_pylist()]
    return pc.replace_with_mask(found, missing, pa.array(slow, pa.timestamp("ms")))


@functools.lru_cache(4096)
def parse_time(cell: str, order: DateOrder = "ymd") -> dt.datetime | None:
    """A moment from ISO 8601, ``2021/3/5 8:20``, ``2021年3月5日``, ``20210305`` or Excel's serial.

    The clock on the wall counts: an offset from UTC is dropped.

    Args:
        cell: text.
        order: ``mdy`` reads ``3/5/2021 8:20 PM`` too, ``dmy`` ``5/3/2021 20:20``.
    """
    plain = unicodedata.normalize("NFKC", cell).strip()
    if _SERIAL.fullmatch(plain):
        moment = _EXCEL_EPOCH + dt.timedelta(days=float(plain))
        return (moment + dt.timedelta(milliseconds=500)).replace(microsecond=0)
    match = _TIME.fullmatch(plain) or _DIGITS.fullmatch(plain.removesuffix(".0"))
    if match is not None:
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    elif order != "ymd" and (match := _YEAR_LAST.fullmatch(plain)):
        *parts, half = match.groups()
        day, month, year, hour, minute, second = (int(part or 0) for part in parts)
        if order == "mdy":
            day, month = month, day
        if half:
            hour = hour % 12 + 12 * (half.lower() == "pm")
    else:
        return None
    try:
        return dt.datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - local time
    except ValueError:
        return None


def labels(columns: Sequence[pa.Array], separator: str | tuple[str, ...]) -> pa.Array:
    """The labels of every row, list<string>: all columns' one after the other, each once."""
    encoded = [pc.dictionary_encode(_plain(column)) for column in columns]
    parsed = [[parse_labels(c, separator) for c in e.dictionary.to_pylist()] for e in encoded]
    if len(columns) == 1:
        return pa.array(parsed[0], pa.list_(pa.string())).take(encoded[0].indices)
    places = zip(*(e.indices.to_pylist() for e in encoded), strict=True)
    merged = [
        list(dict.fromkeys(label for i, place in enumerate(row) for label in parsed[i][place]))
        for row in places
    ]
    return pa.array(merged, pa.list_(pa.string()))


def parse_labels(cell: str, separator: str | tuple[str, ...]) -> list[str]:
    """The labels of one cell: a list in JSON or Python notation, or joined by a separator.

    A full-width separator counts as the separator. The ``、`` of the numbering ``1、`` separates
    nothing; the label keeps it as ``1.``.
    """
    parts = _parse_list(cell.strip())
    if parts is None:
        marks = _marks((separator,) if isinstance(separator, str) else separator)
        if marks and "、" in marks.pattern:
            cell = _NUMBERED.sub(r"\1. ", cell)
        parts = marks.split(cell) if marks else [cell]
    stripped = (str(part).strip() for part in parts if part is not None)
    return list(dict.fromkeys(p for p in stripped if p and p.casefold() not in _EMPTY))


@functools.lru_cache(16)
def _marks(separators: tuple[str, ...]) -> re.Pattern[str] | None:
    """What separates labels: the longest first, each in both widths."""
    longest = sorted(filter(None, separators), key=len, reverse=True)
    forms = [re.escape(form) for one in longest for form in (one, _widen(one))]
    return re.compile("|".join(forms)) if forms else None


def _widen(separator: str) -> str:
    """The full-width form of a separator of one character, as Chinese keyboards type it."""
    if len(separator) == 1 and "!" <= separator <= "~":
        return chr(ord(separator) + 0xFEE0)
    return separator


def _parse_list(cell: str) -> list[Any] | None:
    if not (cell.startswith("[") and cell.endswith("]")) or len(cell) > _LONGEST_LIST:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            with warnings.catch_warnings(action="ignore"):  # of odd escapes: they quote the cell
                value = read(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list) and not any(isinstance(v, list | dict) for v in value):
            return value
    return None

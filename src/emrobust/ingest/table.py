"""What every reader gives: a header, and batches of cells that are strings or null.

A reader turns numbers, dates, lists and bytes of its format into strings at once, so that
everything behind it has one kind of cell to understand, and the same table gives the same
records whatever file it came in.
"""

from __future__ import annotations

import codecs
import datetime as dt
import decimal
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# A non-character that no text may hold: readers put it where bytes could not be decoded.
UNDECODABLE = "\ufdd0"
BATCH_ROWS = 8192
TOP_ROWS = 5
BATCH_CHARS = 1 << 24

_SURROGATE = re.compile("[\ud800-\udfff]")


class Refusal(NamedTuple):
    """A row that a reader could not give as cells.

    Attributes:
        row: its number. The header is not counted: row 8 stands 8 rows below it, in row 9 of a
            sheet whose header is in row 1.
        reason: words that are the same for every row with this fault.
    """

    row: int
    reason: str


class Batch(NamedTuple):
    """Some rows of a source.

    Attributes:
        rows: number of each row in the source, int64 [n], as `Refusal` counts.
        cells: one string array [n] for every column that was asked for.
        refused: rows in or before this batch that have no cells.
        damaged: false where it is known that no cell holds the mark `UNDECODABLE`.
    """

    rows: np.ndarray
    cells: list[pa.Array]
    refused: list[Refusal]
    damaged: bool = True


@dataclass(frozen=True)
class Table:
    """A source that was opened, but of which only the header was read.

    Attributes:
        name: what the user calls it: the file's name, or database and table.
        header: the names of its columns as found.
        read: gives the cells of the columns at these (distinct) positions, in batches.
        facts: what was detected (format, encoding, delimiter, sheet).
        top: the cells of its first rows, where the header may stand in another than was said.
            They may be records, so they are compared with names and never told.
    """

    name: str
    header: list[str]
    read: Callable[[Sequence[int]], Iterator[Batch]]
    facts: dict[str, str] = field(default_factory=dict)
    top: Sequence[Sequence[str]] = ()


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE, error.end


codecs.register_error("emrobust.mark", _mark)


def decode(data: bytes) -> str:
    """UTF-8 with a mark in place of every byte that is not."""
    return data.decode("utf-8", "emrobust.mark")


def to_cell(value: Any) -> str | None:  # noqa: PLR0911 - one line for each kind of value
    """A value of Python as the text of a cell; lists become JSON."""
    match value:
        case None | str():
            return value
        case bool():
            return str(value).lower()
        case float():
            if not math.isfinite(value):
                return None
            return str(int(value)) if value.is_integer() else repr(value)
        case dt.datetime():
            return value.replace(tzinfo=None).isoformat(" ", "seconds")
        case decimal.Decimal():
            return format(value, "f") if value.is_finite() else None
        case bytes():
            return decode(value)
        case list() | tuple() | dict():
            return json.dumps(value, ensure_ascii=False, default=to_cell)
    return str(value)


def from_python(values: Sequence[Any]) -> pa.Array:
    """A string array of the cells of one column."""
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowException, TypeError, UnicodeError):
        cells = (to_cell(value) for value in values)
        return pa.array([c and _SURROGATE.sub(UNDECODABLE, c) for c in cells], pa.string())


def from_arrow(column: pa.Array) -> pa.Array:
    """A string array of a column of any Arrow type."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_string(kind):
        return column
    if pa.types.is_large_string(kind) or pa.types.is_integer(kind):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind):
        local = pc.local_timestamp(column) if kind.tz else column
        return local.cast(pa.timestamp("ms"), safe=False).cast(pa.string())
    return from_python(column.to_pylist())


def gather(rows: Iterable[tuple[int, Sequence[Any]] | Refusal]) -> Iterator[Batch]:
    """Batches of the rows of a reader that gives them one by one."""
    numbers: list[int] = []
    values: list[Sequence[Any]] = []
    refused: list[Refusal] = []
    chars = 0
    for row in rows:
        if isinstance(row, Refusal):
            refused.append(row)
        else:
            numbers.append(row[0])
            values.append(row[1])
            chars += sum(len(cell) for cell in row[1] if isinstance(cell, str))
        if len(numbers) + len(refused) >= BATCH_ROWS or chars >= BATCH_CHARS:
            yield _batch(numbers, values, refused)
            numbers, values, refused, chars = [], [], [], 0
    if numbers or refused:
        yield _batch(numbers, values, refused)


def _batch(numbers: list[int], values: list[Sequence[Any]], refused: list[Refusal]) -> Batch:
    cells = [from_python(column) for column in zip(*values, strict=True)]
    return Batch(np.array(numbers, dtype=np.int64), cells, refused)

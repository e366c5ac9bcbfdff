"""CSV, TSV and their kin, read by Arrow's streaming parser.

Quoted newlines are understood, rows with too many or too few fields are refused, and a
cell longer than the parser's block makes it start again with larger blocks, behind the
rows that were already given: slow, but rare, and by the same code.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from emrobust.config import Source
from emrobust.errors import SourceError
from emrobust.ingest import encoding
from emrobust.ingest.header import key
from emrobust.ingest.table import TOP_ROWS, Batch, Refusal, Table

SUFFIXES = (".csv", ".tsv", ".txt", ".tab")
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", "，": "full-width comma"}
BLOCK_BYTES = 1 << 23
MAX_BLOCK_BYTES = 1 << 29
FIELDS = "wrong number of fields"
OPEN_QUOTE = "wrong number of fields over several lines (is a quote left open?)"

# Stands in every field of a row appended to the file. If the parser doesn't find that row,
# a quote was left open and the end of the file was swallowed as one cell.
_END = "\ufdd1"


class _Layout(NamedTuple):
    """How to read the file: encoding, delimiter, number of columns, and lines above the header."""

    encoding: str
    delimiter: str
    width: int
    above: int


class _Awkward(Exception):  # noqa: N818 - a signal between two functions here, never seen
    """A record is longer than the parser's block."""


def open_table(settings: Source, path: Path) -> Table:
    """Open a delimited text file.

    Raises:
        SourceError: empty, of no known encoding, or without a header.
    """
    found = encoding.detect(path, settings.encoding)
    head = _head(path, found)
    above = settings.header_row - 1
    delimiter, header = _header(_below(head, above), settings)
    if not header and above:
        raise SourceError(
            f"{path.name} has no row {settings.header_row}", "Correct header_row in [source]."
        )
    if not header:
        raise SourceError(f"{path.name} is empty", "Its first line should name the columns.")
    return Table(
        path.name,
        header,
        partial(_read, path, _Layout(found, delimiter, len(header), above)),
        {
            "format": "delimited text",
            "encoding": found,
            "delimiter": DELIMITERS.get(delimiter, delimiter),
        },
        [_header(_below(head, lines), settings)[1] for lines in range(TOP_ROWS)],
    )


def _header(head: str, settings: Source) -> tuple[str, list[str]]:
    """The delimiter of a text, and its first row that is not blank."""
    delimiter = settings.delimiter
    if delimiter == "auto":
        delimiter = detect_delimiter(head, settings.columns.of_source())
    return delimiter, _first_row(head, delimiter)


def _below(head: str, lines: int) -> str:
    """The text without its first lines."""
    stream = io.StringIO(head, newline="")
    for _ in range(lines):
        stream.readline()
    return stream.read()


def detect_delimiter(head: str, named: Collection[str]) -> str:
    """The delimiter by which the header holds most of the named columns, then most columns."""
    wanted = {key(name) for name in named}

    def worth(delimiter: str) -> tuple[int, int]:
        header = [key(name) for name in _first_row(head, delimiter)]
        return len(wanted.intersection(header)), len(header)

    # On a tie the first wins: a file of a single column has no delimiter at all.
    return max(DELIMITERS, key=worth)


def _head(path: Path, found: str) -> str:
    with encoding.open_text(path, found) as stream:
        return stream.read(encoding.HEAD_BYTES)


def _first_row(head: str, delimiter: str) -> list[str]:
    try:
        return next((row for row in csv.reader(io.StringIO(head), delimiter=delimiter) if row), [])
    except csv.Error:
        return []


def _read(path: Path, layout: _Layout, positions: Sequence[int]) -> Iterator[Batch]:
    given = 0
    block = BLOCK_BYTES
    while True:
        try:
            for batch in _attempt(path, layout, positions, block):
                yield _after(given, batch)
                given = max(given, int(batch.rows[-1]) if len(batch.rows) else 0)
        except _Awkward:
            block *= 8
            if block > MAX_BLOCK_BYTES:
                raise _left_open(path, given) from None
        else:
            return


def _after(given: int, batch: Batch) -> Batch:
    """The part of a batch that wasn't given before the parser started again."""
    if not given:
        return batch
    new = int(np.searchsorted(batch.rows, given, side="right"))
    refused = [refusal for refusal in batch.refused if refusal.row > given]
    cells = [column[new:] for column in batch.cells]
    return Batch(batch.rows[new:], cells, refused, batch.damaged)


def _left_open(path: Path, row: int) -> SourceError:
    return SourceError(
        f"{path.name}: a quotation mark opened in row {row + 1} or soon after it is never closed",
        "Close it or double it in that row, or export the table again with all fields quoted.",
    )


def _attempt(path: Path, layout: _Layout, positions: Sequence[int], block: int) -> Iterator[Batch]:
    names = [f"c{place}" for place in range(layout.width)]
    faults: deque[Refusal] = deque()

    def refuse(row: Any) -> str:
        # The parser counts from the file's first line on. The row's text stays here.
        reason = OPEN_QUOTE if "\n" in row.text.rstrip("\n") else FIELDS
        faults.append(Refusal(row.number - 1 - layout.above, reason))
        return "skip"

    tail = "\n" + layout.delimiter.join([_END] * layout.width) + "\n"
    read = pa_csv.ReadOptions(
        # Only without threads does the parser know the numbers of the rows it refuses.
        use_threads=False,
        block_size=block,
        column_names=names,
        skip_rows=layout.above,
    )
    parse = pa_csv.ParseOptions(
        delimiter=layout.delimiter, newlines_in_values=True, invalid_row_handler=refuse
    )
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=[names[place] for place in positions],
        strings_can_be_null=False,
        check_utf8=False,  # the transcoder gives nothing else
    )
    number, ended = -1, False
    with encoding.Transcoder(path, layout.encoding, tail) as stream:
        for batch in _parse(path, stream, read, parse, convert):
            cells = batch.columns
            rows, refused = _number(number, batch.num_rows, faults)
            number = int(rows[-1]) if len(rows) else number
            if len(rows) and rows[0] == 0:  # the header
                rows, cells = rows[1:], [column[1:] for column in cells]
            if len(rows) and cells[0][-1].as_py() == _END:
                rows, cells, ended = rows[:-1], [column[:-1] for column in cells], True
            yield Batch(rows, cells, refused, stream.damaged)
    if not ended:
        raise _left_open(path, max([number - 1, *(fault.row - 1 for fault in faults)]))


def _parse(
    path: Path,
    stream: encoding.Transcoder,
    read: pa_csv.ReadOptions,
    parse: pa_csv.ParseOptions,
    convert: pa_csv.ConvertOptions,
) -> Iterator[pa.RecordBatch]:
    try:
        source = pa.PythonFile(stream, mode="r")
        with pa_csv.open_csv(source, read, parse, convert) as reader:
            yield from reader
    except pa.ArrowInvalid as error:
        # The parser quotes the row in its message, so nothing of it is passed on.
        if "straddling" in str(error) or "out of sync" in str(error):
            raise _Awkward from None
        raise SourceError(
            f"{path.name} cannot be read as delimited text",
            "Check its delimiter and quotation marks, or export it again.",
        ) from None


def _number(done: int, count: int, faults: deque[Refusal]) -> tuple[np.ndarray, list[Refusal]]:
    """Numbers of the next ``count`` good rows, and the refused rows among them.

    Args:
        done: number of the last good row before.
        count: good rows to number.
        faults: refused rows in order; those before the last of these good rows are taken.
    """
    rows = np.arange(done + 1, done + count + 1, dtype=np.int64)
    refused: list[Refusal] = []
    while faults and count and faults[0].row <= rows[-1]:
        fault = faults.popleft()
        rows[max(fault.row - done - 1 - len(refused), 0) :] += 1
        refused.append(fault)
    return rows, refused

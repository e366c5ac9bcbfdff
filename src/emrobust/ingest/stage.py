"""The ingest stage: a table in, a records table out, and every refused row by its number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from emrobust import progress, records, rejects
from emrobust.config import Source
from emrobust.errors import SourceError
from emrobust.ingest import convert, delimited, header
from emrobust.ingest.convert import Converter
from emrobust.ingest.sources import open_table
from emrobust.ingest.table import Batch
from emrobust.rejects import Rejects
from emrobust.runs import Summary

_HINTS = {
    convert.NO_RECORD: "Check record_id in [source.columns].",
    convert.NO_PATIENT: "Check patient_id in [source.columns]; without it every row is a patient.",
    convert.NO_TEXT: "Check text in [source.columns].",
    convert.DAMAGED: 'Try encoding = "gb18030" or "utf-8" in [source].',
    delimited.FIELDS: "Check the delimiter, and that every row has as many fields as the header.",
}


@dataclass(frozen=True)
class Preview:
    """What a source looks like, without a word of its records.

    Attributes:
        name: what the user calls the source.
        facts: what was detected: format, encoding, delimiter, sheet.
        header: all column names of the source.
        columns: named column → the column of the source that it is.
        rows: how many of the first rows would be kept.
        rejected: reason → how many of the first rows would be refused.
        unread: column → how many cells of the first rows would become null.
    """

    name: str
    facts: dict[str, str]
    header: list[str]
    columns: dict[str, str]
    rows: int
    rejected: dict[str, int]
    unread: dict[str, int]


class Through(Protocol):
    """What the records pass through before they are written, so that nothing else ever is."""

    def schema(self, read: pa.Schema) -> pa.Schema:
        """The schema of what is written."""

    def stream(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches to write, row for row; known columns are among those that it gets."""

    def name(self, record_id: str) -> str:
        """The record's number as it may be written into ``rejects.csv``."""


def ingest(settings: Source, source: Path, target: Path, through: Through | None = None) -> Summary:
    """Read the source into ``target/records.parquet`` and ``target/rejects.csv``.

    Args:
        settings: where and what to read.
        source: the file, where ``settings.path`` is set; without meaning for a database.
        target: an empty folder.
        through: treats the records on their way, such as `emrobust.deid`.

    Returns:
        rows read, kept and refused (``rows_in == rows_out + sum(rejected.values())``), and
        notes: what was detected, columns that nobody named, cells that were not understood, rows
        without a label.

    Raises:
        SourceError: the source cannot be read, lacks a column, or has no usable row.
        StorageError: the target cannot be written.
    """
    table = open_table(settings, None if settings.path is None else source)
    with rejects.open_in(target) as refused, progress.track("ingest") as advance:
        if through is not None:
            refused.name = through.name
        made = Converter(settings, refused, with_known=through is not None)
        dropped = header.others(table.header, set(made.locate(table).values()))
        stream = made.stream(table)
        if through is not None:
            stream = through.stream(stream)
        schema = through.schema(made.schema) if through else made.schema
        kept = records.write(target / records.FILE, schema, _tell(stream, advance))
        if not kept:
            raise _nothing_left(table.name, refused.counts)
    notes = made.notes
    return Summary(
        rows_in=notes.rows,
        rows_out=kept,
        rejected=dict(refused.counts),
        notes={
            "source": table.name,
            **table.facts,
            "dropped_columns": dropped,
            "unread": dict(notes.unread),
            "control_characters": notes.controls,
            "unlabelled": notes.unlabelled,
        },
    )


def _tell(stream: Iterator[pa.RecordBatch], advance: progress.Advance) -> Iterator[pa.RecordBatch]:
    for batch in stream:
        yield batch
        advance(batch.num_rows)


def _nothing_left(name: str, counts: Counter[str]) -> SourceError:
    if not counts:
        return SourceError(f"{name} has a header but no rows", "Export the table again.")
    reason, rows = counts.most_common(1)[0]
    return SourceError(
        f"none of the {counts.total()} rows of {name} can be used; {rows} of them for the "
        f"reason: {reason}",
        _HINTS.get(reason, "Look at the first rows of the table."),
    )


def batches(
    settings: Source,
    path: Path | None = None,
    refused: Rejects | None = None,
    *,
    with_labels: bool = True,
    with_known: bool = False,
    absent: list[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Stream a source as batches of the records table, without writing anything.

    Args:
        settings: where and what to read.
        path: the file to read in place of ``settings.path``.
        refused: told of every refused row.
        with_labels: whether label columns must be there; otherwise labels are null.
        with_known: whether the columns of identifiers are given beside the records.
        absent: where it is given, only the visit's number and the texts must be there, as for a
            prediction; the names of the columns that are not are added to it.

    Raises:
        SourceError: the source cannot be read or lacks a column; the first two at once, what
            is found while reading when it is found.
    """
    table = open_table(settings, path or settings.path)
    named = settings.columns
    labels = named.labels if with_labels else ()
    known = named.identifiers if with_known else {}
    named = named.model_copy(update={"labels": labels, "identifiers": known})
    if absent is not None:
        named, lacking = header.lighten(named, table.header)
        absent += lacking
    settings = settings.model_copy(update={"columns": named})
    made = Converter(settings, refused or rejects.unlisted(), with_known=with_known)
    made.locate(table)
    return made.stream(table)


def preview(settings: Source, rows: int = 5) -> Preview:
    """Open a source, find every named column and read the first rows.

    Raises:
        SourceError: the source cannot be read or lacks a column.
    """
    table = open_table(settings, settings.path)
    refused = rejects.unlisted()
    made = Converter(settings, refused)
    places = made.locate(table)

    def first(positions: Sequence[int]) -> Iterator[Batch]:
        for batch in table.read(positions):
            yield Batch(batch.rows[:rows], [c[:rows] for c in batch.cells], batch.refused[:rows])
            return

    kept = sum(batch.num_rows for batch in made.stream(replace(table, read=first)))
    columns = {name: table.header[place] for name, place in places.items()}
    return Preview(
        table.name,
        dict(table.facts),
        list(table.header),
        columns,
        kept,
        dict(refused.counts),
        dict(made.notes.unread),
    )

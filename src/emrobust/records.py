"""The records table: what every stage reads and writes.

One Parquet file, ``records.parquet``, one row a visit:

=============  ====================  =====================================================
column         type                  meaning
=============  ====================  =====================================================
record_id      string, not null      the visit's number, unique in the table
patient_id     string, not null      whose visit; the record's own id where unknown
visit_time     timestamp[ms]         start of the visit, local time
site           string                hospital or campus
department     string                department
sex            string                ``M``, ``F`` or null
age            float32               years at the visit
text_NAME …    string, not null      one column a text field, in the order they are joined
labels         list<string>          codes after `ingest`, classes after `labels`
split          string                null, ``train``, ``validation`` or ``test``
fold           int32                 null, or the cross-validation fold that tests the row
=============  ====================  =====================================================

Invariants, checked at every stage boundary by `check`:

1. ``record_id`` is unique and neither id is empty.
2. A row has at least one text field that is not blank.
3. After `labels`: every label is in the label set and no row names one twice.
4. After `split`: all visits of a patient are in one split (or one fold), unless the split
   is by time, where a patient may only move forwards from train to test.
5. After `deid`: text columns hold no direct identifier (checked by `deid`'s own audit).

Readers and writers work in batches: memory doesn't grow with the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emrobust import runs
from emrobust.errors import RecordsError

FILE = "records.parquet"
TEXT_PREFIX = "text_"
# Columns of identifiers travel beside the records in memory, from `ingest` to `deid`; they are
# in no schema that is written.
KNOWN_PREFIX = "known_"
SPLITS = ("train", "validation", "test")
BATCH_ROWS = 32_768

_BEFORE_TEXT = [
    pa.field("record_id", pa.string(), nullable=False),
    pa.field("patient_id", pa.string(), nullable=False),
    pa.field("visit_time", pa.timestamp("ms")),
    pa.field("site", pa.string()),
    pa.field("department", pa.string()),
    pa.field("sex", pa.string()),
    pa.field("age", pa.float32()),
]
_AFTER_TEXT = [
    pa.field("labels", pa.list_(pa.string())),
    pa.field("split", pa.string()),
    pa.field("fold", pa.int32()),
]


class Span(NamedTuple):
    """A half-open range of characters in one text field of the original record."""

    field: str
    start: int
    end: int
    kind: str


def schema(text_fields: Sequence[str], separator: str = "\n") -> pa.Schema:
    """The Arrow schema of a table whose text fields are joined in this order.

    The separator travels in the schema's metadata, so that every reader joins alike.
    """
    texts = [pa.field(TEXT_PREFIX + name, pa.string(), nullable=False) for name in text_fields]
    return pa.schema(
        [*_BEFORE_TEXT, *texts, *_AFTER_TEXT], metadata={b"separator": separator.encode()}
    )


def text_fields(of: pa.Schema) -> list[str]:
    """Names of the text fields, without their prefix, in the order they are joined."""
    return [name.removeprefix(TEXT_PREFIX) for name in of.names if name.startswith(TEXT_PREFIX)]


def join_text(rows: pa.RecordBatch | pa.Table) -> list[str]:
    """The text a model sees: the non-blank text fields joined in schema order."""
    metadata = rows.schema.metadata or {}
    separator = metadata.get(b"separator", b"\n").decode()
    columns = [
        pc.utf8_trim_whitespace(rows.column(TEXT_PREFIX + name)).to_pylist()
        for name in text_fields(rows.schema)
    ]
    return [separator.join(filter(None, parts)) for parts in zip(*columns, strict=True)]


def write(
    path: Path, of: pa.Schema, batches: Iterable[pa.RecordBatch], *, private: bool = False
) -> int:
    """Write batches to ``path``, all or nothing; the number of rows.

    ``private`` as `runs.atomic_file` takes it.
    """
    rows = 0
    with (
        runs.atomic_file(path, private=private) as partial,
        pq.ParquetWriter(partial, of, compression="zstd") as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The whole table, or some of its columns."""
    return pq.read_table(path, columns=None if columns is None else list(columns))


def read_batches(
    path: Path, columns: Sequence[str] | None = None, rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """The table in batches of at most ``rows`` rows."""
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(rows, columns=None if columns is None else list(columns))


def read_schema(path: Path) -> pa.Schema:
    """The schema of a records file, with its metadata."""
    return pq.read_schema(path)


def count(path: Path) -> int:
    """The number of rows, read from the footer alone."""
    return int(pq.read_metadata(path).num_rows)


def indicator(
    labels: Sequence[Sequence[str]] | pa.ChunkedArray, names: Sequence[str]
) -> np.ndarray:
    """Labels as a matrix of 0 and 1, uint8 [rows, len(names)].

    Raises:
        RecordsError: a row has a label that is not among ``names``.
    """
    place = {name: column for column, name in enumerate(names)}
    rows = labels.to_pylist() if isinstance(labels, pa.ChunkedArray | pa.Array) else labels
    matrix = np.zeros((len(rows), len(names)), dtype=np.uint8)
    for row, of_row in enumerate(rows):
        for label in of_row or ():
            if label not in place:
                raise RecordsError(
                    f"row {row} has the label {label!r}, which is not in the label set of "
                    f"{len(names)} classes",
                    "Prepare the table with the label set of the run, or correct the code.",
                )
            matrix[row, place[label]] = 1
    return matrix


def check(
    path: Path, *, names: Sequence[str] = (), split: bool = False, by_time: bool = False
) -> None:
    """Check the invariants that hold once a stage is done.

    Args:
        path: the records file.
        names: the label set, once `labels` has run (invariant 3).
        split: whether `split` has run (invariant 4).
        by_time: whether that split was by time.

    Raises:
        RecordsError: names the invariant and the first row that breaks it.
    """
    if count(path) == 0:
        raise RecordsError(f"{path.name} has no rows", "Look into rejects.csv for the reasons.")
    ids = read(path, ["record_id", "patient_id"])
    for column in ("record_id", "patient_id"):
        blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(ids[column]), ""), True)
        if pc.any(blank).as_py():
            row = int(pc.index(blank, True).as_py())
            raise RecordsError(f"row {row} of {path.name} has no {column}")
    if pc.count_distinct(ids["record_id"]).as_py() != ids.num_rows:
        raise RecordsError(f"{path.name} names a record_id twice")
    if names:
        known = set(names)
        row = 0
        for batch in read_batches(path, ["labels"]):
            for labels in batch.column(0).to_pylist():
                if not set(labels or ()) <= known or len(set(labels or ())) != len(labels or ()):
                    raise RecordsError(f"row {row} of {path.name} breaks the label set")
                row += 1
    if split:
        _check_split(read(path, ["patient_id", "split", "fold"]), path, by_time)


def _check_split(table: pa.Table, path: Path, by_time: bool) -> None:
    if table["fold"].null_count == 0:
        places = table.group_by("patient_id").aggregate([("fold", "count_distinct")])
        crossing = pc.greater(places["fold_count_distinct"], 1)
    else:
        if table["split"].null_count or not set(table["split"].unique().to_pylist()) <= set(SPLITS):
            raise RecordsError(f"{path.name} has rows without a split")
        places = table.group_by("patient_id").aggregate([("split", "count_distinct")])
        crossing = pc.greater(places["split_count_distinct"], 1)
    crossed = int(pc.sum(crossing).as_py() or 0)
    if crossed and not by_time:
        raise RecordsError(
            f"{crossed} patients of {path.name} have visits in two splits",
            "Split by patient; a model that has seen the patient looks better than it is.",
        )

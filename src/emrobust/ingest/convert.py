"""From batches of cells to batches of the records table, refusing rows with their reason."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emrobust import records
from emrobust.config import Source
from emrobust.ingest import header, values
from emrobust.ingest.seen import Seen
from emrobust.ingest.table import UNDECODABLE, Batch, Table
from emrobust.rejects import Rejects

NO_RECORD = "record number missing"
NO_PATIENT = "patient number missing"
NO_TEXT = "all text fields are empty"
TWICE = "record number was there before"
DAMAGED = "bytes that are not of the encoding"

_LONGEST_KEY = 64  # characters; a longer "number" is text that slipped into the column


@dataclass
class Notes:
    """What is counted while rows stream by.

    Attributes:
        rows: rows of the source, refused ones included.
        unread: column → cells that are neither empty nor understood, and became null.
        controls: cells in which control characters became spaces.
        unlabelled: kept rows without any label.
    """

    rows: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    controls: int = 0
    unlabelled: int = 0


@final
class Converter:
    """Turns the batches of one table into records.

    Args:
        settings: the column map.
        refused: told of every refused row.
        with_known: whether the columns of ``identifiers`` are read and given beside the records,
            as ``known_KIND_0`` and so on, for `deid`.

    Attributes:
        schema: the schema of the records, with the known columns last.
        notes: what was counted so far.
    """

    def __init__(
        self,
        settings: Source,
        refused: Rejects,
        *,
        with_known: bool = False,
    ) -> None:
        named = settings.columns
        self._columns = named
        self._separator = settings.label_separator
        self._times = functools.partial(values.times, order=settings.date_order)
        self._refused = refused
        self._seen = Seen()
        self.schema = records.schema(named.text, settings.separator)
        self._known = _known_columns(settings) if with_known else {}
        for name in self._known:
            self.schema = self.schema.append(pa.field(name, pa.string()))
        self.notes = Notes()

    def locate(self, table: Table) -> dict[str, int]:
        """The place of every named column in the table's header.

        Raises:
            SourceError: columns are missing or there twice.
        """
        named = dict.fromkeys([*self._columns.of_source(), *self._known.values()])
        return header.locate(list(named), table.header, table.name, table.top)

    def stream(self, table: Table) -> Iterator[pa.RecordBatch]:
        """All records of a table in batches, in the order of its rows."""
        places = self.locate(table)
        positions = sorted(set(places.values()))
        for batch in table.read(positions):
            for fault in batch.refused:
                self._refused.add(fault.row, "", "", fault.reason)
            self.notes.rows += len(batch.rows) + len(batch.refused)
            if len(batch.rows):
                cells = {n: batch.cells[positions.index(place)] for n, place in places.items()}
                yield self._convert(batch, cells)

    def _convert(self, batch: Batch, cells: dict[str, pa.Array]) -> pa.RecordBatch:
        named = self._columns
        ids = values.identifiers(cells[named.record_id])
        patients = values.identifiers(cells[named.patient_id]) if named.patient_id else ids
        texts = {records.TEXT_PREFIX + name: self._text(cells[name]) for name in named.text}
        keep = self._accept(batch, cells, ids, patients, texts)
        made = {
            "record_id": ids,
            "patient_id": patients,
            "visit_time": self._read(cells, named.visit_time, self._times),
            "site": self._read(cells, named.site, _names),
            "department": self._read(cells, named.department, _names),
            "sex": self._read(cells, named.sex, values.sexes),
            "age": self._read(cells, named.age, values.ages),
            "split": self._read(cells, named.split, values.splits),
            **texts,
            "labels": self._labels(cells),
            **{known: values.identifiers(cells[name]) for known, name in self._known.items()},
        }
        columns = [made.get(f.name) for f in self.schema]
        filled = [
            pa.nulls(len(batch.rows), f.type) if column is None else column
            for f, column in zip(self.schema, columns, strict=True)
        ]
        rows = pa.RecordBatch.from_arrays(filled, schema=self.schema)
        rows = rows if keep.all() else rows.filter(pa.array(keep))
        self.notes.unlabelled += _count(pc.equal(pc.list_value_length(rows.column("labels")), 0))
        return rows

    def _text(self, cells: pa.Array) -> pa.Array:
        made, replaced = values.text(cells)
        self.notes.controls += replaced
        return made

    def _read(
        self, cells: dict[str, pa.Array], name: str | None, parse: Callable[[pa.Array], pa.Array]
    ) -> pa.Array | None:
        if name is None:
            return None
        tidy = values.identifiers(cells[name])
        made = parse(tidy)
        unread = _count(pc.and_(pc.is_null(made), pc.not_equal(tidy, "")))
        if unread:
            self.notes.unread[name] += unread
        return made

    def _labels(self, cells: dict[str, pa.Array]) -> pa.Array | None:
        columns = [cells[name] for name in self._columns.labels]
        return values.labels(columns, self._separator) if columns else None

    def _accept(
        self,
        batch: Batch,
        cells: dict[str, pa.Array],
        ids: pa.Array,
        patients: pa.Array,
        texts: dict[str, pa.Array],
    ) -> np.ndarray:
        """Bool [n]: the rows to keep; the others are refused, each for its first fault."""
        named = self._columns
        keep = np.ones(len(batch.rows), dtype=bool)

        def refuse(fault: np.ndarray, column: str, reason: str) -> None:
            for place in np.flatnonzero(fault & keep):
                key = _printable(ids[place].as_py())
                self._refused.add(int(batch.rows[place]), key, column, reason)
            keep[fault] = False

        for name, column in cells.items() if batch.damaged else ():
            refuse(_mask(pc.match_substring(column, UNDECODABLE)), name, DAMAGED)
        refuse(_mask(pc.equal(ids, "")), named.record_id, NO_RECORD)
        refuse(_mask(pc.equal(patients, "")), named.patient_id or named.record_id, NO_PATIENT)
        blank = [_mask(pc.equal(column, "")) for column in texts.values()]
        refuse(np.logical_and.reduce(blank), named.text[0], NO_TEXT)
        twice = np.zeros(len(keep), dtype=bool)
        twice[keep] = ~self._seen.add(ids if keep.all() else ids.filter(pa.array(keep)))
        refuse(twice, named.record_id, TWICE)
        return keep


def _known_columns(settings: Source) -> dict[str, str]:
    """Columns of identifiers: their name beside the records → their name in the source."""
    return {
        f"{records.KNOWN_PREFIX}{kind}_{place}": name
        for kind, names in settings.columns.identifiers.items()
        for place, name in enumerate(names)
    }


def _names(cells: pa.Array) -> pa.Array:
    """Short names as they are; null where there is none."""
    return pc.if_else(pc.equal(cells, ""), pa.scalar(None, pa.string()), cells)


def _mask(column: pa.Array) -> np.ndarray:
    mask: np.ndarray = pc.fill_null(column, fill_value=False).to_numpy(zero_copy_only=False)
    return mask


def _count(mask: pa.Array) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _printable(key: str) -> str:
    """A record's number for the rejects file, unless it is text in the wrong column."""
    wrong = len(key) > _LONGEST_KEY or UNDECODABLE in key or any(c.isspace() for c in key)
    return "" if wrong else key

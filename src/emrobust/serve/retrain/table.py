"""The hospital's rows, cell by cell as they were, but for the labels that doctors gave."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import pyarrow as pa

from emrobust.config import Source
from emrobust.ingest import convert, header, open_table, values
from emrobust.rejects import Rejects
from emrobust.serve.retrain.codes import Codes
from emrobust.serve.retrain.verdicts import Verdict

# Columns that are added.
SPLIT, ORIGIN = "emrobust_split", "emrobust_label_source"
TABLE, DOCTOR, BOTH = "table", "doctor", "table and doctor"


@dataclass
class Counts:
    """What became of the rows.

    Attributes:
        read: rows of the table, refused ones included.
        rows: written.
        origins: rows by where their labels come from.
        splits: rows that keep the split of the old run.
        uncoded: kept texts left out, since no code stands for any of their labels.
        unknown: labels of doctors that no code stands for, such as ``other``.
        met: records with feedback that the table has.
    """

    read: int = 0
    rows: int = 0
    origins: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    uncoded: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    met: set[str] = field(default_factory=set)


@final
class Rewriter:
    """Rows of a table with doctors' labels.

    Args:
        source: the project's, of the table to read.
        verdicts: by record id.
        codes: of classes.
        split_of: the split of a record or its patient in the old run; empty for strangers.
        refused: told of every row of the table that is left out.

    Attributes:
        verdicts: likewise.
        columns: of the new table.
        counts: of what was written so far.
    """

    def __init__(
        self,
        source: Source,
        verdicts: Mapping[str, Verdict],
        codes: Codes,
        split_of: Callable[[str, str], str],
        refused: Rejects,
    ) -> None:
        self._source = source
        self.verdicts = verdicts
        self._codes = codes
        self._split_of = split_of
        self._refused = refused
        named = source.columns
        known = [name for names in named.identifiers.values() for name in names]
        self.columns = [*dict.fromkeys([*named.of_source(), *known]), SPLIT, ORIGIN]
        self.counts = Counts()
        self._seen: set[str] = set()

    def rows(self, path: Path | None) -> Iterator[dict[str, str]]:
        """Every row of the table that can be read, once a record; the others are refused.

        Raises:
            SourceError: the table cannot be read, or lacks a column.
        """
        table = open_table(self._source, path)
        places = header.locate(self.columns[:-2], table.header, table.name, table.top)
        positions = sorted(set(places.values()))
        for batch in table.read(positions):
            self.counts.read += len(batch.rows) + len(batch.refused)
            for fault in batch.refused:
                self._refused.add(fault.row, "", "", fault.reason)
            if len(batch.rows):
                cells = {name: batch.cells[positions.index(of)] for name, of in places.items()}
                yield from self._rewritten(batch.rows.tolist(), cells)

    def _rewritten(
        self, numbers: Sequence[int], cells: Mapping[str, pa.Array]
    ) -> Iterator[dict[str, str]]:
        ids = values.identifiers(cells[self._source.columns.record_id]).to_pylist()
        plain = {name: column.to_pylist() for name, column in cells.items()}
        for place, (number, record) in enumerate(zip(numbers, ids, strict=True)):
            if self._accepts(number, record):
                row = {name: column[place] or "" for name, column in plain.items()}
                yield self._count(self._finish(row, record))

    def of_text(self, record: str, text: str) -> dict[str, str] | None:
        """A row of its own for a record that the table lacks; None where no label has a code."""
        named = self._source.columns
        row = dict.fromkeys(self.columns, "")
        row |= {named.record_id: record, named.text[0]: text}
        if named.patient_id is not None:
            row[named.patient_id] = record
        made = self._finish(row, record)
        if made[ORIGIN] == DOCTOR:
            return self._count(made)
        self.counts.uncoded += 1
        return None

    def _accepts(self, number: int, record: str) -> bool:
        """Whether a row is written; the number of the row says which one is not."""
        if record and record not in self._seen:
            self._seen.add(record)
            return True
        # What stands in the column need not be a record's number, so it is not told.
        reason = convert.TWICE if record else convert.NO_RECORD
        self._refused.add(number, "", self._source.columns.record_id, reason)
        return False

    def _finish(self, row: dict[str, str], record: str) -> dict[str, str]:
        named = self._source.columns
        verdict = self.verdicts.get(record)
        origin = TABLE
        if verdict is not None:
            self.counts.met.add(record)
            origin = self._relabel(row, verdict)
        patient = row[named.patient_id] if named.patient_id else record
        return {**row, SPLIT: self._split_of(record, patient), ORIGIN: origin}

    def _count(self, row: dict[str, str]) -> dict[str, str]:
        self.counts.rows += 1
        self.counts.origins[row[ORIGIN]] += 1
        self.counts.splits[row[SPLIT] or "new"] += 1
        return row

    def _relabel(self, row: dict[str, str], verdict: Verdict) -> str:
        """Put a doctor's labels into a row; where its labels come from now."""
        named, separator = self._source.columns, self._source.label_separator
        own = [code for name in named.labels for code in values.parse_labels(row[name], separator)]
        found: dict[str, None] = {}
        for label in verdict.labels:
            codes = self._codes.of(label, own)
            if not codes:
                self.counts.unknown[label] += 1
            found.update(dict.fromkeys(codes))
        if not found:
            return TABLE
        before = {name for code in own for name in self._codes.classes(code)}
        now = {name for code in found for name in self._codes.classes(code)}
        first, *others = named.labels
        row |= {first: _join(list(found), separator), **dict.fromkeys(others, "")}
        return BOTH if before == now else DOCTOR


def _join(codes: list[str], separator: str | tuple[str, ...]) -> str:
    """One cell of several codes, as `ingest` reads it back."""
    separators = (separator,) if isinstance(separator, str) else separator
    marks = [mark for mark in separators if mark]
    if marks and not any(mark in code for mark in marks for code in codes):
        return marks[0].join(codes)
    return json.dumps(codes, ensure_ascii=False)

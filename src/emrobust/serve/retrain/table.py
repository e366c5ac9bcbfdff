"""The hospital's rows, cell by cell as they were, but for the labels that doctors gave."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from emrobust.config import Source
from emrobust.ingest import header, open_table, values
from emrobust.serve.retrain.codes import Codes
from emrobust.serve.retrain.verdicts import Verdict

# Columns that are added.
SPLIT, ORIGIN = "emrobust_split", "emrobust_label_source"
TABLE, DOCTOR, BOTH = "table", "doctor", "table and doctor"


@dataclass
class Counts:
    """What became of the rows.

    Attributes:
        rows: written.
        origins: rows by where their labels come from.
        splits: rows that keep the split of the old run.
        repeated: rows left out, since their record was there before.
        unknown: labels of doctors that no code stands for, such as ``other``.
        met: records with feedback that the table has.
    """

    rows: int = 0
    origins: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
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
    ) -> None:
        self._source = source
        self.verdicts = verdicts
        self._codes = codes
        self._split_of = split_of
        named = source.columns
        known = [name for names in named.identifiers.values() for name in names]
        self.columns = [*dict.fromkeys([*named.of_source(), *known]), SPLIT, ORIGIN]
        self.counts = Counts()
        self._seen: set[str] = set()

    def rows(self, path: Path | None) -> Iterator[dict[str, str]]:
        """Every row of the table that can be read, once a record.

        Raises:
            SourceError: the table cannot be read, or lacks a column.
        """
        table = open_table(self._source, path)
        places = header.locate(self.columns[:-2], table.header, table.name, table.top)
        positions = sorted(set(places.values()))
        for batch in table.read(positions):
            cells = {name: batch.cells[positions.index(of)] for name, of in places.items()}
            ids = values.identifiers(cells[self._source.columns.record_id]).to_pylist()
            plain = {name: column.to_pylist() for name, column in cells.items()}
            for place, record in enumerate(ids):
                row = {name: column[place] or "" for name, column in plain.items()}
                if record and self._is_new(record):
                    yield self._count(self._finish(row, record))

    def of_text(self, record: str, text: str) -> dict[str, str] | None:
        """A row of its own for a record that the table lacks; None where no label has a code."""
        named = self._source.columns
        row = dict.fromkeys(self.columns, "")
        row |= {named.record_id: record, named.text[0]: text}
        if named.patient_id is not None:
            row[named.patient_id] = record
        made = self._finish(row, record)
        return self._count(made) if made[ORIGIN] == DOCTOR else None

    def _is_new(self, record: str) -> bool:
        if record in self._seen:
            self.counts.repeated += 1
            return False
        self._seen.add(record)
        return True

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

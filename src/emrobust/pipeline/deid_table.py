"""De-identification of any table: named text columns are treated, everything else is dropped.

Columns whose header says that they hold identifiers (``deid/tables/columns.csv``) are read to find
their values in the texts, and are not written. A column is written as it is only where the user
names it.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emrobust import deid, ingest, records, rejects, runs
from emrobust.config import Columns, Deid, Section, Source
from emrobust.deid import review
from emrobust.deid.detector import language_of
from emrobust.errors import ConfigError, SourceError
from emrobust.ingest import header, values
from emrobust.ingest.convert import DAMAGED
from emrobust.ingest.table import UNDECODABLE, Batch, Table
from emrobust.pipeline.deid import write_papers
from emrobust.rejects import Rejects
from emrobust.report import review_page

_KEPT = "kept_"
_JUDGED = 1_000  # rows that tell the language


class Settings(Section):
    """What ``--set`` can say of a bare table."""

    source: Source
    deid: Deid = Deid()


@dataclass(frozen=True)
class Plan:
    """Which column of a table is what.

    Attributes:
        text: columns to treat.
        keep: columns to write as they are.
        patient: column whose values tell patients apart; absent: every row a patient.
        time: column with the time of the visit, for dates without a year.
        source: how the table is read, where its header or encoding is not the usual one.
        language: ``zh`` or ``en``, of the report and of texts in which no word tells; empty: that
            of the first rows' texts.
    """

    text: tuple[str, ...]
    keep: tuple[str, ...] = ()
    patient: str | None = None
    time: str | None = None
    source: Source | None = None
    language: str = ""


def treat_table(
    path: Path, out: Path, plan: Plan, settings: Deid, wishes: deid.Wishes | None = None
) -> tuple[int, dict[str, Any]]:
    """Treat a table of any size, batch by batch, into a CSV, JSONL or Parquet file.

    Beside ``out`` come ``NAME.deid_report.html``, ``.json``, the self-assessment, and
    ``NAME.rejects.csv`` with the rows that cannot be read.

    Returns:
        rows written, and the facts of the report, with ``rejected``: reason → rows refused.

    Raises:
        ConfigError: the ending of ``out`` is unknown, ``out`` exists, or a setting is wrong.
        SourceError: the table or all of its rows cannot be read, or it lacks a column.
        RecordsError: direct identifiers would be written and are not accepted.
    """
    write = _WRITERS.get(out.suffix)
    if write is None:
        raise ConfigError(
            f"--out {out.name} has the ending {out.suffix!r}",
            f"Give a file that ends in {', '.join(_WRITERS)}.",
        )
    if out.exists() and path.exists() and out.samefile(path):
        raise ConfigError("--out is the table itself", "The original is never touched.")
    enabled = settings.model_copy(update={"enabled": True})
    language = plan.language or _language(path, plan)
    deidentifier = deid.Deidentifier(enabled, wishes, language)
    opened = _open(path, plan)
    with (
        rejects.open_in(out.parent, f"{out.stem}.rejects.csv") as refused,
        runs.atomic_file(out) as partial,
    ):
        stream = deidentifier.stream(_records(opened, plan, refused))
        rows = write(partial, _shown(stream, plan), _names(plan))
        if refused.counts and not rows:
            raise _nothing_left(opened.table.name, refused.counts)
    used = {*opened.places.values(), *opened.known}
    dropped = header.others(opened.table.header, used)
    facts = {
        **deidentifier.facts(None),
        "dropped_columns": dropped,
        "rejected": dict(refused.counts),
    }
    runs.write_json(out.with_name(f"{out.stem}.deid_report.json"), facts)
    write_papers(out.parent, facts, path.name, language, prefix=f"{out.stem}.")
    return rows, facts


def _nothing_left(name: str, counts: Counter[str]) -> SourceError:
    reason, rows = counts.most_common(1)[0]
    return SourceError(
        f"none of the {counts.total()} rows of {name} can be read; {rows} of them for the reason: "
        f"{reason}",
        "Export the table again, as Excel, or as CSV in UTF-8 with all fields quoted.",
    )


def sample_table(path: Path, out: Path, plan: Plan, settings: Deid, count: int) -> int:
    """Write a review sheet of a table; the number of records on it.

    Raises:
        ConfigError: ``out`` exists.
        SourceError: the table cannot be read or lacks a column.
    """
    if out.exists():
        raise ConfigError(f"{out} exists; a sheet may hold a reader's work", "Give another --out.")
    language = plan.language or _language(path, plan)
    enabled = settings.model_copy(update={"enabled": True})
    worker = deid.Deidentifier(enabled, language=language).worker
    drawn = review.draw(read_table(path, plan), worker, count, seed=0)
    review_page.write_sheet(out, review.sheet(drawn), path.name, language)
    return len(drawn)


def _language(path: Path, plan: Plan) -> str:
    """That of the first rows' texts."""
    with contextlib.closing(read_table(path, plan)) as batches:
        rows = [batch.slice(0, _JUDGED) for batch in itertools.islice(batches, 1)]
    columns = [batch.column(records.TEXT_PREFIX + name) for batch in rows for name in plan.text]
    return language_of(" ".join(text for of in columns for text in of.to_pylist()), "zh")


def columns_of(text: tuple[str, ...]) -> Columns:
    """Columns of a table of which only texts are known: a record's number is that of its row."""
    return Columns(record_id="", text=text)


def known_kinds() -> dict[str, str]:
    """Header → kind of identifier, from ``deid/tables/columns.csv``."""
    file = resources.files("emrobust.deid") / "tables" / "columns.csv"
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return {header.key(row["header"]): row["kind"] for row in rows}


def read_table(path: Path, plan: Plan) -> Generator[pa.RecordBatch]:
    """The table as records with known columns and the kept ones, without rows that are refused.

    Raises:
        SourceError: it cannot be read or lacks a column.
    """
    return _records(_open(path, plan), plan, rejects.unlisted())


class _Opened(NamedTuple):
    """A table with the places of the columns that are read.

    Attributes:
        table: of which only the header was read.
        places: column that the plan names → its place.
        known: place of a column of identifiers → kind.
    """

    table: Table
    places: dict[str, int]
    known: dict[int, str]


def _open(path: Path, plan: Plan) -> _Opened:
    source = plan.source or Source(path=path, columns=columns_of(plan.text))
    table = ingest.open_table(source, path)
    named = [*plan.text, *plan.keep, *filter(None, (plan.patient, plan.time))]
    wanted = list(dict.fromkeys(named))
    places = header.locate(wanted, table.header, table.name, table.top)
    kinds = known_kinds()
    known = {
        place: kinds[header.key(name)]
        for place, name in enumerate(table.header)
        if header.key(name) in kinds and place not in {places[n] for n in plan.text}
    }
    return _Opened(table, places, known)


def _records(opened: _Opened, plan: Plan, refused: Rejects) -> Generator[pa.RecordBatch]:
    table, places, known = opened
    positions = sorted({*places.values(), *known})
    order = "ymd" if plan.source is None else plan.source.date_order
    schema = records.schema(plan.text)
    for name in plan.keep:
        schema = schema.append(pa.field(_KEPT + name, pa.string()))
    for place, kind in known.items():
        schema = schema.append(pa.field(f"{records.KNOWN_PREFIX}{kind}_{place}", pa.string()))
    for read in table.read(positions):
        batch = _readable(read, [table.header[place] for place in positions], refused)
        if not len(batch.rows):
            continue
        cells = dict(zip(positions, batch.cells, strict=True))
        numbers = pa.array([str(row) for row in batch.rows.tolist()])
        made = {
            "record_id": numbers,
            "patient_id": _filled(cells[places[plan.patient]], numbers)
            if plan.patient
            else numbers,
            "visit_time": values.times(values.identifiers(cells[places[plan.time]]), order)
            if plan.time
            else None,
            **{records.TEXT_PREFIX + n: _filled(cells[places[n]], None) for n in plan.text},
            **{_KEPT + name: cells[places[name]] for name in plan.keep},
            **{f"{records.KNOWN_PREFIX}{kind}_{p}": cells[p] for p, kind in known.items()},
        }
        columns = [made.get(field.name) for field in schema]
        yield pa.RecordBatch.from_arrays(
            [
                pa.nulls(len(numbers), field.type) if column is None else column
                for field, column in zip(schema, columns, strict=True)
            ],
            schema=schema,
        )


def _readable(batch: Batch, names: Sequence[str], refused: Rejects) -> Batch:
    """The rows of a batch that can be read; the others are refused."""
    for fault in batch.refused:
        refused.add(fault.row, "", "", fault.reason)
    keep = np.ones(len(batch.rows), dtype=bool)
    for name, column in zip(names, batch.cells, strict=False) if batch.damaged else ():
        marked = pc.fill_null(pc.match_substring(column, UNDECODABLE), fill_value=False)
        damaged = marked.to_numpy(zero_copy_only=False)
        for row in batch.rows[damaged & keep].tolist():
            refused.add(row, "", name, DAMAGED)
        keep &= ~damaged
    if keep.all():
        return batch
    cells = [column.filter(pa.array(keep)) for column in batch.cells]
    return batch._replace(rows=batch.rows[keep], cells=cells)


def _filled(cells: pa.Array, otherwise: pa.Array | None) -> pa.Array:
    """Cells without nulls: those of ``otherwise``, or empty."""
    if otherwise is None:
        return pa.array([cell or "" for cell in cells.to_pylist()], pa.string())
    pairs = zip(cells.to_pylist(), otherwise.to_pylist(), strict=True)
    return pa.array([cell or other for cell, other in pairs], pa.string())


def _names(plan: Plan) -> list[str]:
    return [*plan.keep, *plan.text]


def _shown(stream: Iterable[pa.RecordBatch], plan: Plan) -> Iterator[list[list[str | None]]]:
    """Rows of the output: the kept columns, then the treated texts."""
    wanted = [*(_KEPT + n for n in plan.keep), *(records.TEXT_PREFIX + n for n in plan.text)]
    for batch in stream:
        columns = [batch.column(name).to_pylist() for name in wanted]
        yield [list(row) for row in zip(*columns, strict=True)]


Rows = Iterable[list[list[str | None]]]


def _write_csv(path: Path, batches: Rows, names: Sequence[str]) -> int:
    rows = 0
    # With a byte-order mark, so that Excel reads the Chinese.
    with path.open("w", encoding="utf-8-sig", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(names)
        for batch in batches:
            writer.writerows(batch)
            rows += len(batch)
    return rows


def _write_jsonl(path: Path, batches: Rows, names: Sequence[str]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8") as handle:
        for batch in batches:
            for row in batch:
                line = dict(zip(names, row, strict=True))
                handle.write(json.dumps(line, ensure_ascii=False) + "\n")
            rows += len(batch)
    return rows


def _write_parquet(path: Path, batches: Rows, names: Sequence[str]) -> int:
    schema = pa.schema([pa.field(name, pa.string()) for name in names])
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            columns = [pa.array(column, pa.string()) for column in zip(*batch, strict=True)]
            if batch:
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            rows += len(batch)
    return rows


_WRITERS: dict[str, Callable[[Path, Rows, Sequence[str]], int]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}

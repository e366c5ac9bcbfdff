"""The hospital's database and its exports: SQLite, CSV in GB18030, Excel; and the truth.

Blocks are made by a pool of processes and written in order by one, so that memory does not
grow with the number of visits and the bytes do not depend on the number of processes.
"""

from __future__ import annotations

import collections
import csv
import io
import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from importlib import metadata, resources
from pathlib import Path
from typing import Protocol

import pyarrow.parquet as pq
import xlsxwriter

from emrobust import progress, runs
from emrobust.clinic.chart import Pages, truth_schema, write_block
from emrobust.clinic.model import Clinic, build
from emrobust.clinic.style import Rates
from emrobust.clinic.visits import BLOCK
from emrobust.errors import ConfigError, StorageError, did_you_mean

FORMATS = ("sqlite", "csv", "excel")
PROJECT = "project.toml"
FACTS = "clinic.json"
HEADER = (
    "就诊号",
    "患者编号",
    "就诊时间",
    "院区",
    "科室",
    "性别",
    "年龄",
    "主诉",
    "现病史",
    "既往史",
    "初步诊断编码",
)
EXCEL_ROWS = 1_048_575  # what a sheet holds below its header
_SCHEMA = """
CREATE TABLE patients (
  patient_no TEXT PRIMARY KEY, patient_name TEXT NOT NULL, sex TEXT NOT NULL,
  birth_date TEXT NOT NULL, id_card_no TEXT NOT NULL, phone TEXT NOT NULL,
  address TEXT NOT NULL, employer TEXT NOT NULL, social_security_no TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE visits (
  visit_no TEXT NOT NULL, patient_no TEXT NOT NULL REFERENCES patients,
  visit_time TEXT NOT NULL, site TEXT NOT NULL, department TEXT NOT NULL,
  doctor TEXT NOT NULL, age INTEGER NOT NULL
);
CREATE TABLE notes (
  visit_no TEXT NOT NULL REFERENCES visits (visit_no), chief_complaint TEXT NOT NULL,
  present_illness TEXT NOT NULL, past_history TEXT NOT NULL
);
CREATE TABLE diagnoses (
  visit_no TEXT NOT NULL REFERENCES visits (visit_no), seq INTEGER NOT NULL,
  icd10 TEXT NOT NULL, diagnosis_name TEXT NOT NULL
);
"""
# Indices are built after the rows: many times quicker.
_INDICES = """
CREATE UNIQUE INDEX visit ON visits (visit_no);
CREATE INDEX visit_of_patient ON visits (patient_no);
CREATE UNIQUE INDEX note_of_visit ON notes (visit_no);
CREATE UNIQUE INDEX diagnosis_of_visit ON diagnoses (visit_no, seq);
CREATE VIEW outpatient AS
SELECT v.visit_no, v.patient_no, v.visit_time, v.site, v.department, p.sex, v.age,
  n.chief_complaint, n.present_illness, n.past_history,
  (SELECT group_concat(icd10, ';') FROM
    (SELECT icd10 FROM diagnoses d WHERE d.visit_no = v.visit_no ORDER BY seq)) AS icd10
FROM visits v JOIN patients p USING (patient_no) JOIN notes n USING (visit_no);
"""


class Writer(Protocol):
    """Takes the blocks of a hospital in order."""

    def write(self, pages: Pages) -> None:
        """Write one block."""

    def close(self) -> None:
        """Finish the file."""


class SqliteWriter:
    """``hospital.db``: patients, visits, notes, diagnoses and the view ``outpatient``."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)
        # The file is renamed into place when it is whole, so it needs no journal of its own.
        self.database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA
        )

    def write(self, pages: Pages) -> None:
        """Insert one block."""
        database = self.database
        with _refusals():
            database.execute("BEGIN")
            database.executemany("INSERT INTO patients VALUES (?,?,?,?,?,?,?,?,?)", pages.patients)
            database.executemany("INSERT INTO visits VALUES (?,?,?,?,?,?,?)", pages.visits)
            database.executemany("INSERT INTO notes VALUES (?,?,?,?)", pages.notes)
            database.executemany("INSERT INTO diagnoses VALUES (?,?,?,?)", pages.diagnoses)
            database.execute("COMMIT")

    def close(self) -> None:
        """Build the indices and the view."""
        with closing(self.database), _refusals():
            self.database.executescript(_INDICES)


@contextmanager
def _refusals() -> Iterator[None]:
    """SQLite has its own word for a full disk; the statement it names holds no row."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StorageError(
            f"hospital.db could not be written ({error})",
            "Free some space, or choose another folder with --out.",
        ) from None


class CsvWriter:
    """``outpatient.csv`` in GB18030, as Chinese hospital systems export it."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("w", encoding="gb18030", newline="")
        self.writer = csv.writer(self.file, lineterminator="\r\n")
        self.writer.writerow(HEADER)

    def write(self, pages: Pages) -> None:
        """Append one block."""
        self.writer.writerows(pages.outpatient)

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class ExcelWriter:
    """``outpatient.xlsx``, row by row in constant memory; a new sheet when one is full."""

    def __init__(self, path: Path) -> None:
        self.book = xlsxwriter.Workbook(
            str(path),
            {"constant_memory": True, "strings_to_urls": False, "tmpdir": str(path.parent)},
        )
        self.rows = EXCEL_ROWS

    def write(self, pages: Pages) -> None:
        """Append one block."""
        for values in pages.outpatient:
            if self.rows == EXCEL_ROWS:
                self._turn()
            self.rows += 1
            sheet, row = self.sheet, self.rows
            for column, value in enumerate(values):
                if isinstance(value, str):
                    sheet.write_string(row, column, value)
                else:
                    sheet.write_number(row, column, value)

    def _turn(self) -> None:
        self.sheet = self.book.add_worksheet()
        for column, name in enumerate(HEADER):
            self.sheet.write_string(0, column, name)
        self.rows = 0

    def close(self) -> None:
        """Write the workbook."""
        self.book.close()


class TruthWriter:
    """``truth.parquet``: classes, findings' states and spans of every visit."""

    def __init__(self, path: Path, clinic: Clinic) -> None:
        self.file = pq.ParquetWriter(path, truth_schema(clinic), compression="zstd")

    def write(self, pages: Pages) -> None:
        """Append one block."""
        self.file.write_batch(pages.truth)

    def close(self) -> None:
        """Write the footer."""
        self.file.close()


_FILES: dict[str, tuple[str, Callable[[Path], Writer]]] = {
    "sqlite": ("hospital.db", SqliteWriter),
    "csv": ("outpatient.csv", CsvWriter),
    "excel": ("outpatient.xlsx", ExcelWriter),
}


def generate(
    out: Path,
    records: int,
    seed: int,
    *,
    workers: int = 2,
    formats: Sequence[str] = FORMATS,
    rates: Rates | None = None,
) -> runs.Summary:
    """Make a hospital of so many visits; every file appears whole or not at all.

    Args:
        out: folder for hospital.db, outpatient.csv, outpatient.xlsx, truth.parquet,
            classes.csv, clinic.json and, with SQLite, the project.toml that reads it.
        records: visits.
        seed: of everything; the same seed gives the same bytes of text.
        workers: processes that make blocks of visits; 1 makes them in this process.
        formats: some of `FORMATS`.
        rates: the knobs, if not the tuned ones.

    Raises:
        ConfigError: no records, or an unknown format.
        StorageError: the disk is full or the folder cannot be written.
    """
    if records < 1:
        raise ConfigError(f"{records} records were asked for", "Ask for at least one.")
    for name in formats:
        if name not in _FILES:
            raise ConfigError(f"there is no format {name!r}", did_you_mean(name, FORMATS))
    clinic = build(rates)
    totals: collections.Counter[str] = collections.Counter()
    with ExitStack() as stack:
        writers: list[Writer] = []
        for name in formats:
            file, make = _FILES[name]
            writers.append(make(stack.enter_context(runs.atomic_file(out / file))))
        truth = stack.enter_context(runs.atomic_file(out / "truth.parquet"))
        writers.append(TruthWriter(truth, clinic))
        with progress.track("clinic", records, "visits") as advance:
            for pages in make_blocks(clinic.rates, records, seed, workers):
                for writer in writers:
                    writer.write(pages)
                totals.update(_count(pages))
                advance(len(pages.visits))
        for writer in writers:
            writer.close()
    write_classes(out / "classes.csv", clinic)
    if "sqlite" in formats:
        template = resources.files("emrobust.clinic") / PROJECT
        runs.write_text(out / PROJECT, template.read_text(encoding="utf-8"))
    notes = _facts(clinic, records, seed, totals)
    notes["excel_sheets"] = -(-records // EXCEL_ROWS) if "excel" in formats else 0
    runs.write_json(out / FACTS, notes)
    return runs.Summary(rows_in=records, rows_out=records, notes=notes)


def is_made(out: Path, records: int, seed: int) -> bool:
    """Whether this version has already made this hospital's database there, by the tuned rates."""
    if not (out / FACTS).is_file() or not (out / PROJECT).is_file():
        return False
    facts = runs.read_json(out / FACTS)
    wanted = {
        "records": records,
        "seed": seed,
        "rates": build(None).rates.model_dump(),
        "version": metadata.version("emrobust"),
    }
    return all(facts.get(name) == value for name, value in wanted.items())


def _count(pages: Pages) -> dict[str, int]:
    return {
        "patients": len(pages.patients),
        "visits": len(pages.visits),
        "diagnoses": len(pages.diagnoses),
    }


def _facts(clinic: Clinic, records: int, seed: int, totals: dict[str, int]) -> dict[str, object]:
    return {
        "seed": seed,
        "records": records,
        "totals": dict(totals),
        "rates": clinic.rates.model_dump(),
        "sites": [site.name for site in clinic.style.sites],
        "classes": len(clinic.medicine.classes),
        "findings": len(clinic.medicine.findings),
        "version": metadata.version("emrobust"),
    }


def write_classes(path: Path, clinic: Clinic) -> None:
    """``classes.csv``: every code with its class, as the project file's label table."""
    of = clinic.medicine
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(("code", "class", "title_en"))
    for name, title, codes in zip(of.classes, of.titles, of.codes, strict=True):
        table.writerows((code, name, title) for code, _, _ in codes)
    runs.write_text(path, lines.getvalue())


def make_blocks(rates: Rates, records: int, seed: int, workers: int) -> Iterator[Pages]:
    """The blocks of a hospital in order, at most two in waiting for each process."""
    full, rest = divmod(records, BLOCK)
    sizes = [BLOCK] * full + [rest] * (rest > 0)
    if workers <= 1 or len(sizes) == 1:
        for number, rows in enumerate(sizes):
            yield write_block(build(rates), seed, number, rows)
        return
    # spawn: this process has threads (Arrow's), which fork would leave in an unknown state
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(sizes)), mp_context=context) as pool:
        waiting: collections.deque[Future[Pages]] = collections.deque()
        for number, rows in enumerate(sizes):
            waiting.append(pool.submit(_make_block, rates, seed, number, rows))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _make_block(rates: Rates, seed: int, number: int, rows: int) -> Pages:
    return write_block(build(rates), seed, number, rows)

"""The files of a hospital: all formats agree, nothing depends on the processes."""

import csv
import json
import sqlite3

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emrobust.clinic import database, generate
from emrobust.clinic.ceiling import ceiling
from emrobust.clinic.chart import write_block
from emrobust.clinic.database import HEADER
from emrobust.clinic.model import build
from emrobust.clinic.style import load_style
from emrobust.clinic.visits import BLOCK
from emrobust.errors import ConfigError, StorageError

RECORDS = 5_300


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hospital")
    summary = generate(folder, RECORDS, 42, workers=2)
    assert summary.rows_out == RECORDS
    return folder


@pytest.fixture(scope="module")
def rows(hospital):
    with sqlite3.connect(hospital / "hospital.db") as connection:
        return connection.execute("SELECT * FROM outpatient ORDER BY visit_no").fetchall()


def test_the_database_refers_to_itself_only(hospital, rows):
    connection = sqlite3.connect(hospital / "hospital.db")
    connection.execute("PRAGMA foreign_keys = ON")
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(rows) == len({row[0] for row in rows}) == RECORDS
    assert {row[3] for row in rows} == {"本部", "城东院区", "社区中心"}
    assert {row[2][:4] for row in rows} == {"2019", "2020", "2021", "2022"}
    assert all(1 <= len(row[10].split(";")) <= 4 for row in rows)
    connection.close()


def test_csv_is_gb18030_and_says_the_same(hospital, rows):
    with (hospital / "outpatient.csv").open(encoding="gb18030", newline="") as file:
        header, *lines = csv.reader(file)
    assert tuple(header) == HEADER
    assert sorted(lines) == [[str(value) for value in row] for row in rows]


def test_excel_says_the_same(hospital, rows):
    book = openpyxl.load_workbook(hospital / "outpatient.xlsx", read_only=True)
    header, *lines = book.worksheets[0].iter_rows(values_only=True)
    book.close()
    assert header == HEADER
    assert sorted(tuple(v or "" for v in line) for line in lines) == [
        tuple(v or "" for v in row) for row in rows
    ]


def test_truth_has_every_visit_and_its_observed_classes_are_the_codes(hospital, rows):
    truth = pq.read_table(hospital / "truth.parquet")
    with (hospital / "classes.csv").open(encoding="utf-8", newline="") as file:
        classes = {row["code"]: row["class"] for row in csv.DictReader(file)}
    observed = dict(zip(truth["record_id"].to_pylist(), truth["observed"].to_pylist(), strict=True))
    assert set(observed) == {row[0] for row in rows}
    for row in rows:
        assert {classes[code] for code in row[10].split(";")} == set(observed[row[0]])


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_processes(hospital, tmp_path):
    generate(tmp_path, RECORDS, 42, workers=1, formats=("csv",))
    assert (tmp_path / "outpatient.csv").read_bytes() == (hospital / "outpatient.csv").read_bytes()
    assert pq.read_table(tmp_path / "truth.parquet").equals(
        pq.read_table(hospital / "truth.parquet")
    )


def test_fewer_records_are_the_beginning_of_more(hospital, tmp_path):
    generate(tmp_path, 40, 42, workers=1, formats=("csv",))
    short = (tmp_path / "outpatient.csv").read_text("gb18030").splitlines()
    whole = (hospital / "outpatient.csv").read_text("gb18030").splitlines()
    assert short == whole[:41]
    assert not (tmp_path / "hospital.db").exists()
    assert ceiling(tmp_path / "truth.parquet", ["湿疹"]).shape == (40, 1)


def test_facts_are_written_down(hospital):
    facts = json.loads((hospital / "clinic.json").read_text("utf-8"))
    assert facts["seed"] == 42
    assert facts["totals"]["visits"] == RECORDS
    assert facts["rates"]["wrong_code"] == 0.03
    assert facts["excel_sheets"] == 1


def test_a_full_sheet_is_followed_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "EXCEL_ROWS", 15)
    generate(tmp_path, 40, 1, workers=1, formats=("excel",))
    book = openpyxl.load_workbook(tmp_path / "outpatient.xlsx", read_only=True)
    assert [len(list(sheet.iter_rows())) for sheet in book.worksheets] == [16, 16, 11]
    book.close()


def test_wrong_requests_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="did you mean|Did you mean"):
        generate(tmp_path, 10, 1, formats=("exel",))
    with pytest.raises(ConfigError, match="0 records"):
        generate(tmp_path, 0, 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        generate(tmp_path / "file" / "below", 10, 1, workers=1)
    assert not list(tmp_path.glob("*.parquet"))


def test_ten_million_visits_are_made_one_block_at_a_time(hospital):
    rates = load_style().rates
    blocks = database.make_blocks(rates, 10_000_000, 42, workers=1)
    first = next(blocks)
    blocks.close()
    truth = pq.read_table(hospital / "truth.parquet").slice(0, len(first.visits))
    assert len(first.visits) == BLOCK
    assert pa.Table.from_batches([first.truth])["record_id"].equals(truth["record_id"])


def test_a_full_disk_is_said_in_one_sentence(tmp_path):
    writer = database.SqliteWriter(tmp_path / "small.db")
    writer.database.execute("PRAGMA max_page_count = 20")
    pages = write_block(build(), 1, 0, 300)
    with pytest.raises(StorageError, match=r"hospital\.db could not be written.*full") as caught:
        writer.write(pages)
    assert caught.value.__cause__ is None
    assert pages.notes[0][1] not in str(caught.value)
    writer.database.close()

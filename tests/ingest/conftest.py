"""A small table of made-up visits, written in every format."""

from __future__ import annotations

import csv
import datetime as dt
import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from emrobust.config import Columns, Source
from emrobust.ingest import ingest
from emrobust.runs import Summary

HEADER = ["就诊号", "患者号", "就诊时间", "科室", "性别", "年龄", "主诉", "现病史", "诊断", "备注"]
ROWS: list[list[Any]] = [
    ["V1", "P1", "2021-03-05 08:20:00", "内科", "男", 45, "咳嗽3天，“干咳”", "夜间,加重;无\t发热|",
     "J06.9;I10", "x"],
    ["V2", "P1", "2021-03-06 00:00:00", "内科", "女", 7, "腹痛", "第一行\n第二行", "K29.7", "x"],
    ["V3", "P2", None, None, None, None, '头"晕"', None, "", None],
    ["V4", "P3", "2021-12-31 23:59:59", "外科", "女", 0, None, "𠮷㐂：鼻塞", "J00；J00; J01.9",
     "x"],
]  # fmt: skip
COLUMNS = Columns(
    record_id="就诊号",
    patient_id="患者号",
    visit_time="就诊时间",
    department="科室",
    sex="性别",
    age="年龄",
    labels=("诊断",),
    text=("主诉", "现病史"),
)


def _typed(row: Sequence[Any]) -> list[Any]:
    """The row with its visit time as a moment."""
    return [dt.datetime.fromisoformat(v) if v and i == 2 else v for i, v in enumerate(row)]


def write_delimited(
    path: Path, encoding: str, delimiter: str, rows: Sequence[Sequence[Any]] = ROWS
) -> None:
    with path.open("w", encoding=encoding, newline="") as handle:
        out = csv.writer(handle, delimiter=delimiter)
        out.writerows([HEADER, *rows])


def write_excel(path: Path) -> None:
    book = xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm:ss"})
    sheet = book.add_worksheet("门诊")
    for at, row in enumerate([HEADER, *map(_typed, ROWS)]):
        sheet.write_row(at, 0, row)
    book.add_worksheet("空")
    book.close()


def write_parquet(path: Path) -> None:
    rows = [dict(zip(HEADER, _typed(row), strict=True)) for row in ROWS]
    for row in rows:
        row["诊断"] = [c.strip() for c in row["诊断"].replace("；", ";").split(";")]
        row["年龄"] = None if row["年龄"] is None else float(row["年龄"])
    pq.write_table(pa.Table.from_pylist(rows), path)


def objects() -> list[dict[str, Any]]:
    return [dict(zip(HEADER, row, strict=True)) for row in ROWS]


def write_json(path: Path, shape: str) -> None:
    value: Any = objects()
    if shape == "columns":
        value = {name: [row[name] for row in value] for name in HEADER}
    if shape == "pandas":
        value = {name: {str(i): row[name] for i, row in enumerate(value)} for name in HEADER}
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")


def write_jsonl(path: Path) -> None:
    lines = [
        json.dumps(row | {"诊断": row["诊断"].replace("；", ";").split(";")}) for row in objects()
    ]
    path.write_text("\n\n".join(lines), encoding="utf-8")


def write_sqlite(path: Path) -> None:
    connection = sqlite3.connect(path)
    named = ", ".join(f'"{name}"' for name in HEADER)
    connection.execute(f"CREATE TABLE visits ({named})")
    connection.executemany("INSERT INTO visits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ROWS)
    connection.commit()
    connection.close()


FORMATS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "comma": ("t.csv", lambda path: write_delimited(path, "utf-8", ",")),
    "bom": ("t.csv", lambda path: write_delimited(path, "utf-8-sig", ",")),
    "gb18030": ("t.csv", lambda path: write_delimited(path, "gb18030", ",")),
    "tab": ("t.tsv", lambda path: write_delimited(path, "gb18030", "\t")),
    "semicolon": ("t.txt", lambda path: write_delimited(path, "utf-8", ";")),
    "bar": ("t.csv", lambda path: write_delimited(path, "utf-8", "|")),
    "excel": ("t.xlsx", write_excel),
    "parquet": ("t.parquet", write_parquet),
    "json": ("t.json", lambda path: write_json(path, "array")),
    "json-columns": ("t.json", lambda path: write_json(path, "columns")),
    "json-pandas": ("t.json", lambda path: write_json(path, "pandas")),
    "jsonl": ("t.jsonl", write_jsonl),
    "sqlite": ("t.sqlite", write_sqlite),
}


@pytest.fixture(params=sorted(FORMATS))
def any_format(request, tmp_path) -> Path:
    """The table of `ROWS` in one format after the other."""
    name, write = FORMATS[request.param]
    write(tmp_path / name)
    return tmp_path / name


@pytest.fixture
def write_csv(tmp_path) -> Callable[..., Path]:
    """Write text or bytes as ``visits.csv``."""

    def write(content: str | bytes, name: str = "visits.csv", encoding: str = "utf-8") -> Path:
        data = content.encode(encoding) if isinstance(content, str) else content
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


@pytest.fixture
def read(tmp_path) -> Callable[..., tuple[Summary, pa.Table, list[dict[str, str]]]]:
    """Ingest a file; the summary, the records and the rejects."""

    def run(path: Path | None, columns: Columns = COLUMNS, **settings: Any):
        target = tmp_path / "target"
        target.mkdir(exist_ok=True)
        source = Source(path=path, columns=columns, **settings)
        summary = ingest(source, path or tmp_path / "absent", target)
        with (target / "rejects.csv").open(encoding="utf-8", newline="") as handle:
            refused = list(csv.DictReader(handle))
        assert summary.rows_in == summary.rows_out + sum(summary.rejected.values())
        assert sum(summary.rejected.values()) == len(refused)
        return summary, pq.read_table(target / "records.parquet"), refused

    return run


@pytest.fixture
def visits() -> list[list[Any]]:
    """The rows of the table."""
    return [list(row) for row in ROWS]


@pytest.fixture
def columns() -> Columns:
    """The column map of the table."""
    return COLUMNS


@pytest.fixture
def small() -> Columns:
    """The column map of tables with ``id,text,note`` alone."""
    return Columns(record_id="id", text=("text", "note"))

"""The data-use record at every door, columns that nobody named, and whose word text goes on."""

from __future__ import annotations

import csv
import datetime as dt
import json
import shutil
import sqlite3

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
import xlsxwriter

from emrobust import config, runs
from emrobust.errors import ConfigError, InputError
from emrobust.pipeline import deid, provenance
from emrobust.pipeline.check import check
from emrobust.pipeline.evaluate import compare, evaluate
from emrobust.pipeline.predict import predict
from emrobust.pipeline.prepare import INGEST, LABELS, describe, prepare
from emrobust.pipeline.pretrain import pretrain
from emrobust.pipeline.train import train
from emrobust.report import data_use, deid_page, words

CANARY = "绝密哨兵"
LAST = dt.date(2999, 12, 31)
AFTER = dt.date(3000, 1, 1)
HEADER = ["编号", "姓名", "主诉", "诊断", "备注", "内部号"]
ROWS = [
    [f"V{n:03}", "黎可欣" if n % 2 else "赵云飞",
     f"{'黎可欣诉头痛，电话13800138000' if n % 2 else '赵云飞咳嗽咳痰'}{n}天",
     "头痛" if n % 2 else "支气管炎", f"{CANARY}{n}", f"{CANARY}-{n}"]
    for n in range(60)
]  # fmt: skip
PROJECT = """
name = "示例"
[source]
path = "{path}"
[source.columns]
record_id = "编号"
text = ["主诉"]
labels = ["诊断"]
identifiers = {{ patient_name = ["姓名"] }}
[governance]
approval = "伦审2026-031"
purpose = "门诊诊断分类模型的训练与评估"
legal_basis = "伦理委员会豁免知情同意"
responsible_role = "信息科主任"
retain_until = 2999-12-31
data_level = 3
[labels]
task = "single"
kind = "plain"
[deid]
enabled = true
[evaluate]
bootstrap = 20
"""


def write_csv(path):
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([HEADER, *ROWS])


def write_excel(path):
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for place, row in enumerate([HEADER, *ROWS]):
            sheet.write_row(place, 0, row)


def write_sqlite(path):
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE t ({', '.join(HEADER)})")
    connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", ROWS)
    connection.commit()
    connection.close()


WRITE = {"t.csv": write_csv, "t.xlsx": write_excel, "t.db": write_sqlite}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("hospital")
    for name, write in WRITE.items():
        write(made / name)
        text = PROJECT.format(path=name)
        (made / f"{name}.toml").write_text(text, encoding="utf-8")
    return made


def project(folder, *overrides, name="t.csv"):
    return config.load(folder / f"{name}.toml", overrides)


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    return train(project(folder), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def prepared(run):
    return run.folder / "data"


@pytest.fixture(scope="module")
def measured(folder, run, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    evaluate(run.folder, out, data=folder / "t.csv")
    return out


@pytest.fixture(scope="module")
def treated(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("treated") / "out"
    deid.deidentify(project(folder), out)
    return out


def content(path):
    """Everything in a file, what is compressed included."""
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pylist()) + str(pq.read_schema(path))
    return path.read_bytes().decode("utf-8", "replace")


def holding(folder, word):
    return [p.name for p in folder.rglob("*") if p.is_file() and word in content(p)]


def test_a_column_that_nobody_named_gets_nowhere(folder, run, measured, treated, tmp_path):
    predict(run.folder, folder / "t.csv", tmp_path / "predictions.csv")
    for made in (run.folder, measured, treated, tmp_path):
        assert not holding(made, CANARY)
        assert holding(made, "支气管炎")
    assert "2 列：备注, 内部号" in (treated / deid.REPORT).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(WRITE))
def test_it_is_dropped_at_the_door(folder, tmp_path, name):
    asked = []
    listen = (sa.Engine, "before_cursor_execute", lambda *event: asked.append(event[2]))
    sa.event.listen(*listen)
    try:
        summaries = prepare(project(folder, name=name), tmp_path / "data")
    finally:
        sa.event.remove(*listen)
    assert not holding(tmp_path, CANARY)
    queries = [query for query in asked if "SELECT" in query and "FROM t" in query]
    assert bool(queries) == (name == "t.db")
    assert not any(column in query for query in queries for column in ("备注", "内部号"))
    assert summaries[INGEST].notes["dropped_columns"] == ["备注", "内部号"]
    assert "  2 columns that nobody named were dropped: 备注, 内部号" in list(describe(summaries))
    assert "  2 other columns are never read" in check(project(folder, name=name))


def test_the_record_travels_with_everything(folder, prepared, run, measured, treated):
    record = project(folder).governance.public()
    assert config.load(run.folder / "project.toml").governance.public() == record
    assert run.facts["project"]["governance"] == record
    for made in (prepared / INGEST, treated):
        assert runs.read_json(made / deid.FACTS)["governance"] == record
    facts = runs.read_json(treated / deid.FACTS)
    pages = [
        (measured / "report.html").read_text(encoding="utf-8"),
        (treated / deid.REPORT).read_text(encoding="utf-8"),
        (treated / deid.ASSESSMENT).read_text(encoding="utf-8"),
        deid_page.render(facts, language="en"),
    ]
    for page in pages:
        for value in ("伦审2026-031", "2999-12-31", "信息科主任"):
            assert value in page
    assert "可在中等范围内访问使用" in pages[0]
    assert "Level 3: for a limited circle" in pages[3]
    assert "gives no data-use record" in deid_page.render(
        {**facts, "governance": {}}, language="en"
    )


def test_after_its_last_day_nothing_runs(folder, prepared, run, tmp_path):
    given, out = project(folder), tmp_path / "out"
    doors = [
        lambda day: prepare(given, out, day),
        lambda day: train(given, out, prepared, day),
        lambda day: deid.deidentify(given, out, today=day),
        lambda day: deid.write_sheet(given, out, 5, day),
        lambda day: evaluate(run.folder, out, today=day),
        lambda day: compare(run.folder, run.folder, day),
        lambda day: predict(run.folder, folder / "t.csv", out / "p.csv", day),
        lambda day: pretrain([prepared], out, today=day),
    ]
    for door in doors:
        with pytest.raises(ConfigError, match=r"governance\.retain_until.*伦审2026-031") as caught:
            door(AFTER)
        assert "extended" in caught.value.hint
        assert not out.exists()
    predict(run.folder, folder / "t.csv", out / "p.csv", LAST)
    assert project(folder, "governance.retain_until=2020-01-01").governance.retain_until
    with pytest.raises(ConfigError, match="until 2020-01-01"):
        check(project(folder, "governance.retain_until=2020-01-01"))


@pytest.mark.parametrize("purpose", ["其他目的", None])
def test_prepared_data_keep_the_record_that_they_were_read_under(
    folder, prepared, tmp_path, purpose
):
    given = project(folder)
    record = config.Governance()
    if purpose:
        record = given.governance.model_copy(update={"purpose": purpose})
    other = given.model_copy(update={"governance": record})
    with pytest.raises(ConfigError, match="another .governance.*伦审2026-031"):
        train(other, tmp_path / "run", prepared)


def test_half_a_record_is_none(folder):
    text = PROJECT.format(path="t.csv").replace('purpose = "', 'purpos = "')
    path = folder / "half.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="Did you mean `purpose`"):
        config.load(path)
    path.write_text(PROJECT.format(path="t.csv").replace("data_level = 3", ""), encoding="utf-8")
    with pytest.raises(ConfigError, match="given whole; add data_level"):
        config.load(path)
    with pytest.raises(ConfigError, match="governance.data_level"):
        config.load(path, ["governance.data_level=6"])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("responsible_role", "信息科主任张伟"),
        ("purpose", "训练，联系13800138000"),
        ("approval", "a@example.com"),
    ],
)
def test_a_record_names_an_office_and_no_person(folder, tmp_path, key, value):
    with pytest.raises(ConfigError, match=f"governance.{key}. seems to hold personal") as caught:
        prepare(project(folder, f"governance.{key}={value}"), tmp_path / "out")
    assert value not in str(caught.value)


SMALL = ["layers=1", "width=16", "heads=2", "feed_forward=32", "positions=64", "length=32",
         "pieces=64", "batch_tokens=64", "held_out=0.2", "steps=2", "evaluations=1",
         "cooccurrence=0"]  # fmt: skip


def test_a_treated_folder_speaks_for_itself(prepared, treated, tmp_path):
    pretrain([prepared], tmp_path / "out", SMALL)
    card = (tmp_path / "out" / "encoder" / "README.md").read_text(encoding="utf-8")
    assert "de-identified by `emrobust`, 60 records" in card
    assert "Approval: 伦审2026-031" in card
    text = json.loads((tmp_path / "out" / "log.json").read_text(encoding="utf-8"))["facts"]["text"]
    assert text[0]["governance"]["data_level"] == 3
    notes = tmp_path / "notes.txt"
    notes.write_text("头痛\n", encoding="utf-8")
    traced = provenance.trace([notes, prepared], deidentified=True)
    assert "notes.txt: stated by the user" in provenance.describe(traced)
    (of,) = provenance.trace([treated], deidentified=False)
    assert of.deidentified["rows"] == 60


KNOWN = {"there": 3, "found": 1, "left": 2, "part": 0}


@pytest.mark.parametrize(
    ("facts", "columns", "says"),
    [
        ({"enabled": False}, [], "enabled = true"),
        ({"direct_identifiers_left": {"phone": 1}}, [], "direct identifiers were accepted"),
        ({"found": {"patient_name": {"keep": 4}}}, [], "keeps patient_name"),
        ({"audit": {"known": {"name": KNOWN}}}, [], "audit found"),
        ({}, ["现病史"], "leaves out 主诉"),
    ],
)
def test_a_folder_that_may_name_persons_needs_the_users_word(
    treated, tmp_path, facts, columns, says
):
    folder = tmp_path / "data"
    shutil.copytree(treated, folder)
    runs.write_json(folder / deid.FACTS, {**runs.read_json(folder / deid.FACTS), **facts})
    said = runs.read_json(folder / runs.MANIFEST)["facts"]
    said["project"]["deid"]["columns"] = columns
    runs.write_manifest(folder, said)
    with pytest.raises(InputError, match=f"(?s)names no person.*{says}.*--deidentified"):
        provenance.trace([folder], deidentified=False)
    assert provenance.trace([folder], deidentified=True)[0].deidentified == {}


@pytest.mark.parametrize("stage", [INGEST, LABELS, "9-more"])
def test_records_that_were_changed_afterwards_do_not_pass(prepared, tmp_path, stage):
    shutil.copytree(prepared, tmp_path / "data")
    (tmp_path / "data" / stage).mkdir(exist_ok=True)
    other = pq.read_table(tmp_path / "data" / LABELS / "records.parquet").slice(0, 30)
    pq.write_table(other, tmp_path / "data" / stage / "records.parquet")
    with pytest.raises(InputError, match="changed|no stage"):
        provenance.trace([tmp_path / "data"], deidentified=False)


def test_both_languages_have_the_same_words():
    table = words.load(data_use.STRINGS)
    assert set(table["zh"]) == set(table["en"])
    # `cases` is a switch, and no part of the record.
    assert set(config.Governance.model_fields) - {"cases"} <= set(table["zh"])

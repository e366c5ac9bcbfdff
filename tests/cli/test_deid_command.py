"""``emrobust deid`` as a user types it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from emrobust.cli import app
from emrobust.errors import ConfigError, EmrobustError, SourceError

TABLE = "姓名,主诉\n黎可欣,黎可欣诉头痛，电话13800138000\n赵云飞,咳嗽3天\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def run(*words):
    done = CliRunner().invoke(app, ["deid", *map(str, words)])
    if isinstance(done.exception, EmrobustError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_table_is_treated_explained_and_can_be_undone(table, tmp_path):
    run("--new-key", tmp_path / "key")
    said = run(
        table, "--text", "主诉", "--out", tmp_path / "o.jsonl", "--key", tmp_path / "key",
        "--explain", tmp_path / "e.csv", "--mapping", tmp_path / "m",
        "--set", "deid.operators.patient_name=surrogate",
    )  # fmt: skip
    assert "2 rows, 2 identifiers treated" in said
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text("utf-8").splitlines()]
    assert set(rows[0]) == {"主诉"}
    assert "黎可欣" not in rows[0]["主诉"]
    assert "[PHONE]" in rows[0]["主诉"]
    assert rows[1]["主诉"] == "咳嗽3天"
    explained = (tmp_path / "e.csv").read_text("utf-8")
    assert "patient_name" in explained
    assert "黎可欣" not in explained
    with pytest.raises(ConfigError, match="exists already"):
        run(table, "--text", "主诉", "--out", tmp_path / "p.csv", "--key", tmp_path / "key",
            "--mapping", tmp_path / "m")  # fmt: skip
    assert not (tmp_path / "p.csv").exists()


def test_rows_that_cannot_be_read_are_listed_and_the_others_treated(table, tmp_path):
    faults = "多一,栏,咳嗽\n".encode() + b"x,\xff\xfe\n"
    table.write_bytes(TABLE.encode() + faults + f"王小明,王小明头晕{'咳嗽' * 300}\n".encode())
    said = run(table, "--text", "主诉", "--out", tmp_path / "o.csv")
    assert "3 rows, 3 identifiers treated" in said
    assert "1 rows refused: wrong number of fields (o.rejects.csv)" in said
    assert len((tmp_path / "o.csv").read_text("utf-8-sig").splitlines()) == 4
    listed = (tmp_path / "o.rejects.csv").read_text("utf-8").splitlines()
    assert listed[1:] == [
        "3,,,wrong number of fields", "4,,主诉,bytes that are not of the encoding"
    ]  # fmt: skip
    report = json.loads((tmp_path / "o.deid_report.json").read_text("utf-8"))
    assert sum(report["rejected"].values()) == 2
    assert "3 records" in run(table, "--text", "主诉", "--sample", 9, "--out", tmp_path / "s.html")
    table.write_text("姓名,主诉\n咳嗽\n头晕\n", encoding="utf-8")
    with pytest.raises(SourceError, match="none of the 2 rows .* wrong number of fields"):
        run(table, "--text", "主诉", "--out", tmp_path / "p.csv")
    assert not list(tmp_path.glob("p.*"))


def test_a_report_is_in_the_language_of_the_table_or_in_that_asked_for(tmp_path):
    def said(name, *words):
        run(*words, "--text", "note", "--out", tmp_path / f"{name}.csv")
        report = (tmp_path / f"{name}.deid_report.html").read_text("utf-8")
        return report.count('lang="en"'), (tmp_path / f"{name}.csv").read_text("utf-8-sig")

    english = tmp_path / "en.csv"
    english.write_text("note\nDOB 12/25/1950. Seen today\n1950-03-05\n", encoding="utf-8")
    assert said("a", english) == (1, "note\nDOB 1950 Q4. Seen today\n1950 Q1\n")
    assert said("b", english, "--language", "zh") == (
        0, "note\nDOB 1950 Q4. Seen today\n1950年第1季度\n",
    )  # fmt: skip
    figures = tmp_path / "figures.csv"
    figures.write_text("note\n1950-03-05\n", encoding="utf-8")
    assert said("c", figures, "--language", "en") == (1, "note\n1950 Q1\n")
    assert said("d", figures) == (0, "note\n1950年第1季度\n")
    run(english, "--text", "note", "--sample", 2, "--out", tmp_path / "s.html")
    assert 'lang="en"' in (tmp_path / "s.html").read_text("utf-8")
    project = tmp_path / "p.toml"
    with pytest.raises(ConfigError, match="--language is for tables"):
        run(project, "--out", tmp_path / "o", "--language", "en")


def test_a_title_above_the_header_is_skipped_when_told(table, tmp_path):
    table.write_text(f"门诊病历导出,\n{TABLE}", encoding="utf-8")
    words = (table, "--text", "主诉", "--out", tmp_path / "o.csv")
    with pytest.raises(SourceError, match="header_row = 2"):
        run(*words)
    assert "2 rows, 2 identifiers treated" in run(*words, "--set", "source.header_row=2")
    with pytest.raises(ConfigError, match=r"source\.header_row"):
        run(*words, "--set", "source.header_row=0")


def test_a_sheet_is_written_and_its_corrections_are_measured(table, tmp_path):
    sheet = tmp_path / "sheet.html"
    assert "2 records" in run(table, "--text", "主诉", "--sample", 200, "--out", sheet)
    assert sheet.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="exists"):
        run(table, "--text", "主诉", "--sample", 200, "--out", sheet)
    field = {"name": "主诉", "spans": [[0, 3, "patient_name", "right"]], "missed": []}
    corrections = {
        "version": 1,
        "sheet": "a",
        "documents": [{"row": 1, "reviewed": True, "fields": [field]}],
    }
    (tmp_path / "c.json").write_text(json.dumps(corrections), encoding="utf-8")
    said = run(table, "--corrections", tmp_path / "c.json", "--out", tmp_path / "local")
    assert "recall: 1.000" in said
    assert json.loads((tmp_path / "local" / "local.json").read_text())["documents"] == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "are needed"),
        (["t.csv", "--out", "o.csv"], "needs --text"),
        (["t.csv", "--out", "o.csv", "--mapping", "m"], "needs --key"),
        (
            ["t.csv", "--out", "o.csv", "--text", "主诉", "--set", "train.epochs=1"],
            "only [source] and",
        ),
        (["t.csv", "--out", "o.csv", "--text", "主诉", "--set", "deid.wokers=1"], "`workers`?"),
        (["t.csv", "--out", "o.csv", "--text", "主诉,主拆"], "Did you mean `主诉`?"),
        # Alone it may be that the first row is a record, of which nothing is told.
        (["t.csv", "--out", "o.csv", "--text", "主拆"], "first row hold the columns' names?"),
    ],
)
def test_what_is_missing_is_said(table, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EmrobustError) as caught:
        run(*words)
    assert says in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.csv"]

"""Feedback becomes a table that trains: doctors have the last word, and the test split stays."""

from __future__ import annotations

import csv
import json
import tomllib

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from emrobust import config, ingest
from emrobust.cli import app
from emrobust.deid.key import make_key
from emrobust.errors import ConfigError
from emrobust.ingest import convert, delimited, values
from emrobust.pipeline.export import export
from emrobust.pipeline.predict import predict
from emrobust.pipeline.prepare import SPLIT, prepare
from emrobust.pipeline.train import train
from emrobust.serve import store as room
from emrobust.serve.retrain import table, verdicts
from emrobust.serve.retrain.codes import Codes
from emrobust.serve.store import Feedback, Prediction


@pytest.fixture(scope="module")
def old(served_run):
    """Record id → labels and split in the run."""
    table = pq.read_table(served_run / "data" / SPLIT / "records.parquet")
    columns = (table[name].to_pylist() for name in ("record_id", "labels", "split"))
    return {record: (labels, split) for record, labels, split in zip(*columns, strict=True)}


def answer(store, record, chosen, verdict, labels=(), *, text=None, actor="dr. a"):
    made = Prediction(
        actor="ward", task="diagnose", model="m@1", record_id=record, chosen=chosen,
        probabilities=dict.fromkeys(chosen, 0.9), text=text,
    )  # fmt: skip
    store.record(made)
    store.record(Feedback(actor=actor, prediction=made.id, verdict=verdict, labels=labels))


def read(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(line for line in file if line.strip()))


def test_feedback_becomes_a_table_that_trains(clinic, old, served_run, tmp_path):
    url, key = str(tmp_path / "store.db"), tmp_path / "text.key"
    make_key(key)
    tests = [record for record, (_, split) in old.items() if split == "test"]
    trains = [of for of, (labels, split) in old.items() if split == "train" and len(labels) == 1]
    names = sorted({label for labels, _ in old.values() for label in labels})
    right = old[trains[1]][0]
    wrong = next(name for name in names if name not in right and name != "other")
    with room.open_store(room.StoreSettings(url=url, text_key=key)) as store:
        answer(store, tests[0], (wrong,), "accepted")
        answer(store, trains[0], tuple(old[trains[0]][0]), "accepted")
        answer(store, trains[1], (wrong,), "accepted")
        answer(store, trains[1], (wrong,), "changed", tuple(right), actor="dr. b")
        answer(store, trains[2], (wrong,), "rejected")
        answer(store, trains[3], (wrong, names[0]), "partial", (wrong,))
        answer(store, "NEW1", (wrong,), "changed", tuple(right), text="胸闷三天，从未见过的一句。")
        answer(store, "NEW2", (wrong,), "accepted")
        answer(store, None, ("other",), "accepted", text="无编码。")
    out = tmp_path / "new"
    project = tmp_path / "old.toml"
    project.write_text(config.dump(config.load(clinic, ["source.header_row=3"])), encoding="utf-8")
    words = ["retrain", url, "--project", str(project), "--out", str(out), "--run", str(served_run)]
    done = CliRunner().invoke(app, [*words, "--text-key", str(key)])
    assert done.exit_code == 0, done.output
    rows = {row["visit_no"]: row for row in read(out / "table.csv")}
    assert rows[tests[0]]["emrobust_split"] == "test"
    assert rows[tests[0]]["emrobust_label_source"] == "doctor"
    assert rows[trains[0]]["emrobust_label_source"] == "table and doctor"
    assert rows[trains[1]]["emrobust_label_source"] == "table and doctor"
    for record in trains[2:4]:  # what is wrong, or a part of what is right, makes no labels
        assert rows[record]["emrobust_label_source"] == "table"
    assert rows["NEW1"]["emrobust_label_source"] == "doctor"
    assert len(rows) == len(old) + 1
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["reviewed"], summary["disputed"], summary["absent"]) == (8, 3, 1)
    sheet = read(out / "review.csv")
    told = {(row["record_id"], row["verdict"], row["counts"]) for row in sheet}
    assert told == {
        (trains[1], "accepted", "no"), (trains[1], "changed", "yes"), (trains[2], "rejected", "no"),
        (trains[3], "partial", "no"),
    }  # fmt: skip
    for private in ("table.csv", "review.csv"):
        assert (out / private).stat().st_mode & 0o077 == 0
    made = tomllib.loads((out / "project.toml").read_text(encoding="utf-8"))
    assert (made["source"]["path"], made["source"]["header_row"]) == ("table.csv", 3)
    # The new table trains, with the doctors' labels, and nobody changes sides.
    small = ("model.name=tfidf", "model.longest=2", "evaluate.bootstrap=0", "evaluate.suites=[]")
    again = config.load(out / "project.toml", small)
    prepare(again, tmp_path / "prepared")
    assert train(again, tmp_path / "run", tmp_path / "prepared").names
    table = pq.read_table(tmp_path / "prepared" / SPLIT / "records.parquet")
    columns = (table[name].to_pylist() for name in ("record_id", "labels", "split"))
    new = {record: (labels, split) for record, labels, split in zip(*columns, strict=True)}
    assert all(new[record][1] == split for record, (_, split) in old.items())
    assert new[tests[0]][0] == [wrong]
    assert new[trains[1]][0] == right
    assert "is not empty" in str(CliRunner().invoke(app, words).exception)


PROJECT = """
name = "export"
[source]
path = "visits.csv"
{reading}
[source.columns]
record_id = "就诊号"
text = ["主诉"]
labels = ["诊断"]
[labels]
task = "single"
kind = "plain"
[model]
name = "tfidf"
[evaluate]
bootstrap = 0
suites = []
"""


@pytest.fixture
def hospital(tmp_path, easy):
    """A function that writes a small hospital's project, whose table is in GB18030; its rows."""

    def write(reading="", delimiter=","):
        texts, labels, _ = easy(240)
        rows = [
            (f"V{place}", text, label)
            for place, (text, label) in enumerate(zip(texts, labels, strict=True))
        ]
        write_table(tmp_path / "visits.csv", rows, delimiter)
        (tmp_path / "project.toml").write_text(PROJECT.format(reading=reading), encoding="utf-8")
        return rows

    return write


def write_table(path, rows, delimiter):
    with path.open("w", encoding="gb18030", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([("就诊号", "主诉", "诊断"), *rows])


def retrain(folder, *labels):
    """Run the command with an answer on the first visit; what it printed, and the folder."""
    with room.open_store(room.StoreSettings(url=str(folder / "store.db"))) as store:
        answer(store, "V0", ("cold",), "changed", labels)
    words = ["retrain", str(folder / "store.db"), "--project", str(folder / "project.toml")]
    done = CliRunner().invoke(app, [*words, "--out", str(folder / "new")])
    assert done.exit_code == 0, done.output
    return done.output, folder / "new"


@pytest.mark.parametrize(
    ("reading", "delimiter", "exports"),
    [
        ("", ",", [("later.csv", ","), ("later.tsv", "\t")]),
        ('encoding = "gb18030"\ndelimiter = "|"', "|", [("later.csv", "|")]),
    ],
)
def test_a_model_trained_again_reads_what_the_hospital_exports(
    hospital, tmp_path, reading, delimiter, exports
):
    rows = hospital(reading, delimiter)
    _, folder = retrain(tmp_path, "skin")
    run = tmp_path / "run"
    train(config.load(folder / "project.toml"), run)
    export(run, tmp_path / "package")
    for name, separator in exports:
        write_table(tmp_path / name, rows, separator)
        for model in (run, tmp_path / "package"):
            done = predict(model, tmp_path / name, tmp_path / "predicted.csv")
            assert (done.rows_out, done.rejected) == (len(rows), {})


def test_only_words_on_diagnoses_of_one_model_count(tmp_path):
    with room.open_store(room.StoreSettings(url=str(tmp_path / "s.db"))) as store:
        answer(store, "V1", ("J06",), "accepted")
        hidden = Prediction(
            actor="ward", task="triage", model="m@1", record_id="V2", chosen=("J18",),
            probabilities={"J18": 0.9},
        )  # fmt: skip
        store.record(hidden)
        store.record(Feedback(actor="dr. a", prediction=hidden.id, verdict="accepted"))
        assert set(verdicts.read(store.database)) == {"V1"}
        other = Prediction(
            actor="ward", task="diagnose", model="departments@2", record_id="V1",
            chosen=("呼吸科",), probabilities={"呼吸科": 0.9},
        )  # fmt: skip
        store.record(other)
        store.record(Feedback(actor="dr. a", prediction=other.id, verdict="accepted"))
        with pytest.raises(ConfigError, match="several models: `departments`, `m`"):
            verdicts.read(store.database)
        assert verdicts.read(store.database, "m")["V1"].labels == ("J06",)
        assert verdicts.read(store.database, "none") == {}


def test_no_row_is_lost_silently(hospital, tmp_path):
    rows = hospital()
    more = [rows[3], ("", "咳嗽", "cold"), ("V900", "咳嗽"), ("V901", "咳嗽", "cold", "张三")]
    write_table(tmp_path / "visits.csv", [*rows, *more], ",")
    said, folder = retrain(tmp_path, "skin")
    refused = {convert.TWICE: 1, convert.NO_RECORD: 1, delimited.FIELDS: 2}
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["read"], summary["rows"], summary["refused"]) == (244, 240, refused)
    for reason, count in refused.items():
        assert f"{count} rows refused: {reason} (rejects.csv)" in said
    listed = read(folder / "rejects.csv")
    assert sorted(int(row["row"]) for row in listed) == [241, 242, 243, 244]
    assert "张三" not in (folder / "rejects.csv").read_text(encoding="utf-8")


def test_a_store_that_is_not_there_is_not_made(hospital, tmp_path):
    hospital()
    words = [str(tmp_path / "typo.db"), "--project", str(tmp_path / "project.toml")]
    done = CliRunner().invoke(app, ["retrain", *words, "--out", str(tmp_path / "new")])
    assert "does not exist" in str(done.exception)
    assert {path.name for path in tmp_path.iterdir()} == {"project.toml", "visits.csv"}


def test_other_is_no_label_of_a_plain_table(hospital, tmp_path):
    hospital()
    said, folder = retrain(tmp_path, "other")
    assert "no code stands for other" in said
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        assert "other" not in {row["诊断"] for row in csv.DictReader(file)}


def test_classes_go_back_to_codes_of_the_same_class(clinic):
    settings = config.load(clinic).labels
    codes = Codes(settings)
    table = config.load(clinic).labels.table
    names = {row["class"] for row in read(table) if row["class"]}
    for name in names:
        (code,) = codes.of(name)
        assert codes.classes(code) == (name,)
        assert codes.of(name, [code, "Z99"]) == [code]
    assert codes.of("other") == []


@pytest.mark.parametrize("separator", [";", "", (";", "、"), ("",)])
@pytest.mark.parametrize("codes", [["I10", "J00"], ["甲、乙", "丙"], ["甲;乙", "丙、丁"], ["甲"]])
def test_a_cell_of_several_codes_is_read_back(separator, codes):
    assert values.parse_labels(table._join(codes, separator), separator) == codes


def test_a_split_column_is_kept_to_its_table(clinic, tmp_path):
    settings = config.load(clinic).source
    with_split = settings.model_copy(
        update={"columns": settings.columns.model_copy(update={"split": "s"})}
    )
    other = ingest.source_of(with_split, tmp_path / "x.csv")
    assert other.columns.split is None
    assert "s" in with_split.columns.of_source()

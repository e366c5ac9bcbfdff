"""The whole way on a clinic of 300 visits: what is written, what is not, and what is refused."""

from __future__ import annotations

import csv
import json
import re
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emrobust import clinic, config, records, runs
from emrobust.config import Deid
from emrobust.deid import Wishes, gate, mapping, spans, stage
from emrobust.deid.key import make_key, read_key
from emrobust.deid.rows import Task, Worker
from emrobust.errors import ConfigError, RecordsError
from emrobust.pipeline import deid, deid_table
from emrobust.pipeline.evaluate import evaluate
from emrobust.pipeline.predict import predict
from emrobust.pipeline.prepare import INGEST, LABELS, prepare
from emrobust.pipeline.train import train

QUERY = (
    "select o.*, p.patient_name, p.id_card_no, p.phone, p.address, v.doctor from outpatient o "
    "join patients p using (patient_no) join visits v using (visit_no)"
)
KNOWN = {
    "patient_name": ("patient_name",),
    "id_card": ("id_card_no",),
    "phone": ("phone",),
    "address": ("address",),
    "doctor_name": ("doctor",),
}
TEXTS = ("text_chief_complaint", "text_present_illness", "text_past_history")


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hospital")
    clinic.generate(folder, 300, 5, workers=1, formats=("sqlite", "csv"))
    make_key(folder / "key")
    return folder


def project(hospital, *overrides):
    base = ["deid.enabled=true", "deid.accept_identifiers=false", f"deid.key_file={hospital}/key"]
    made = config.load(hospital / clinic.PROJECT, [*base, *overrides])
    columns = made.source.columns.model_copy(update={"identifiers": KNOWN})
    source = made.source.model_copy(
        update={"path": None, "table": None, "url": f"sqlite:///{hospital}/hospital.db",
                "query": QUERY, "columns": columns}
    )  # fmt: skip
    return made.model_copy(update={"source": source})


@pytest.fixture(scope="module")
def done(hospital, tmp_path_factory):
    folder = tmp_path_factory.mktemp("done")
    wishes = Wishes(folder / "explain.csv", folder / "mapping", read_key(hospital / "key"))
    summary, facts = deid.deidentify(project(hospital), folder / "out", wishes)
    return folder, summary, facts


@pytest.fixture(scope="module")
def originals(hospital):
    from emrobust import ingest

    source = project(hospital).source
    batches = list(ingest.batches(source, with_known=True))
    return [row for batch in batches for row in batch.to_pylist()]


def rows_of(folder):
    return records.read(folder / records.FILE).to_pylist()


def test_known_values_are_gone_and_everything_else_is_untouched(done, originals):
    folder, summary, _ = done
    written = rows_of(folder / "out")
    assert summary.rows_out == len(written) == len(originals) == 300
    with (folder / "explain.csv").open(encoding="utf-8", newline="") as handle:
        explained = list(csv.DictReader(handle))
    assert explained
    by_place: dict = {}
    for line in explained:
        by_place.setdefault((int(line["row"]), line["column"]), []).append(line)
    for number, (before, after) in enumerate(zip(originals, written, strict=True), start=1):
        known = {kind: [before[f"known_{kind}_0"]] for kind in KNOWN}
        for text in TEXTS:
            assert not gate.find_known(after[text], known)
            cuts = by_place.get((number, text.removeprefix("text_")), ())
            kept, at = [], 0
            for line in cuts:
                kept.append(before[text][at : int(line["start"])])
                at = int(line["end"])
            kept.append(before[text][at:])
            assert re.fullmatch(".*".join(map(re.escape, kept)), after[text], re.DOTALL)
            assert cuts or before[text] == after[text]


def test_dates_and_the_visit_move_together(done, originals):
    folder, _, facts = done
    shifts: dict = {}
    for before, after in zip(originals, rows_of(folder / "out"), strict=True):
        moved = after["visit_time"] - before["visit_time"]
        assert moved.seconds == 0
        assert 0 < abs(moved.days) <= 180
        assert shifts.setdefault(before["patient_id"], moved) == moved
    assert len(set(shifts.values())) > 100
    assert facts["visit_time"] == "shift"


def test_nothing_written_holds_a_text_a_key_or_a_known_column(hospital, done, originals):
    folder, _, _ = done
    secret = (hospital / "key").read_text().strip()
    texts = [r[t][:12] for r in originals for t in TEXTS if len(r[t]) > 20]
    names = {r["known_patient_name_0"] for r in originals}
    identity = {r["known_id_card_0"] for r in originals}
    for path in [*(folder / "out").iterdir(), folder / "explain.csv"]:
        content = path.read_bytes()
        assert secret.encode() not in content
        assert not any(number.encode() in content for number in identity)
        if path.suffix != ".parquet":
            said = content.decode()
            assert not any(text in said for text in texts), path.name
            assert not any(name in said for name in names if len(name) > 2), path.name
    assert not any("known" in name for name in pq.read_schema(folder / "out" / records.FILE).names)


def test_the_mapping_brings_the_originals_back(hospital, done, originals):
    folder, _, _ = done
    written = rows_of(folder / "out")
    back: dict = {}
    for entry in mapping.read(folder / "mapping", read_key(hospital / "key")):
        back.setdefault((entry["row"], entry["column"]), []).append(entry)
    assert back
    for (row, column), entries in back.items():
        edits = [
            (spans.Span(e["start"], e["end"], e["kind"], 1.0, "", ""), e["original"])
            for e in entries
        ]
        text = f"text_{column}"
        assert spans.apply(written[row - 1][text], edits) == originals[row - 1][text]


def test_the_report_counts_and_judges(done):
    folder, summary, facts = done
    stored = json.loads((folder / "out" / deid.FACTS).read_text(encoding="utf-8"))
    assert stored["found"] == facts["found"]
    total = sum(n for of in facts["found"].values() for n in of.values())
    assert summary.notes["identifiers_found"] == total > 50
    assert facts["direct_identifiers_left"] == {}
    assert facts["audit"]["known"]["id_card"]["there"] >= 1
    assert all(of["left"] == 0 for of in facts["audit"]["known"].values())
    assert facts["risk"]["grade"] == 2  # 300 visits: nearly everybody is alone in a class
    page = (folder / "out" / deid.REPORT).read_text(encoding="utf-8")
    assert f"{total:,}" in page
    paper = (folder / "out" / deid.ASSESSMENT).read_text(encoding="utf-8")
    assert "【待填】" in paper
    runs.verify_manifest(folder / "out")


def test_any_number_of_processes_gives_the_same(hospital, done, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["emrobust.deid.stage"], "CHUNK_ROWS", 40)
    folder, _, facts = done
    _, again = deid.deidentify(project(hospital, "deid.workers=2"), tmp_path / "out")
    assert rows_of(tmp_path / "out") == rows_of(folder / "out")
    assert again == facts


def test_prepare_refuses_identifiers_that_nobody_accepted(hospital, tmp_path):
    off = ["deid.enabled=false"]
    with pytest.raises(RecordsError, match="direct identifiers") as caught:
        prepare(project(hospital, *off), tmp_path / "p")
    assert "accept_identifiers" in caught.value.hint
    assert not (tmp_path / "p" / INGEST).exists()
    assert not re.search(r"\d{11}", str(caught.value))
    accepted = prepare(project(hospital, *off, "deid.accept_identifiers=true"), tmp_path / "p")
    assert accepted[INGEST].notes["direct_identifiers_left"]
    treated = prepare(project(hospital), tmp_path / "p")
    assert treated[INGEST].notes["direct_identifiers_left"] == {}
    texts = records.read(tmp_path / "p" / LABELS / records.FILE, TEXTS).to_pylist()
    assert not any(gate.scan(text) for row in texts for text in row.values())


def batch_with_persons_beside_the_texts():
    """Two visits: a name and a number in a diagnosis, a doctor's name in a department."""
    known = [
        pa.field("known_patient_name_0", pa.string()),
        pa.field("known_doctor_name_0", pa.string()),
    ]
    schema = pa.schema([*records.schema(["note"]), *known])
    values = {
        "record_id": ["1", "2"],
        "patient_id": ["a", "b"],
        "site": ["海淀区中心医院", "华山"],
        "department": ["门诊赵丽超诊室", "帕金森专科"],
        "text_note": ["头痛", "咳嗽"],
        "labels": [["冠心病（高洋文，电话13800138000）", "高血压"], ["J06.900", "I10.x00"]],
        "known_patient_name_0": ["高洋文", None],
        "known_doctor_name_0": ["赵丽超", "赵丽超"],
    }
    columns = [pa.array(values.get(of.name, [None, None]), of.type) for of in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def test_persons_beside_the_texts_are_taken_out_and_places_stay():
    done = Worker(Task(Deid(enabled=True), None)).work(batch_with_persons_beside_the_texts(), 0)
    first, second = done.batch.to_pylist()
    assert first["labels"] == ["冠心病（[PATIENT_NAME]，电话[PHONE]）", "高血压"]
    assert first["department"] == "门诊[DOCTOR_NAME]诊室"
    assert first["site"] == "海淀区中心医院"
    assert (second["site"], second["department"]) == ("华山", "帕金森专科")
    assert second["labels"] == ["J06.900", "I10.x00"]
    assert done.counts == {
        ("patient_name", "placeholder"): 1,
        ("phone", "placeholder"): 1,
        ("doctor_name", "placeholder"): 1,
    }
    assert (done.touched, done.leaks) == (1, [])


def test_persons_beside_the_texts_are_refused_where_nothing_is_treated():
    found = Worker(Task(Deid(), None)).work(batch_with_persons_beside_the_texts(), 0)
    assert {(leak.row, leak.column, leak.kind) for leak in found.leaks} == {
        (1, "labels", "patient_name"),
        (1, "labels", "phone"),
        (1, "department", "doctor_name"),
    }


def test_english_persons_and_numbers_are_refused_where_nothing_is_treated():
    known = pa.field("known_patient_name_0", pa.string())
    schema = pa.schema([*records.schema(["note"]), known])
    said = "Pt Karen Jackson called (969) 358-9774. SSN 131-95-3626. Passport number 512345678."
    values = {"record_id": ["1"], "patient_id": ["a"], "text_note": [said], "labels": [["I10"]]}
    values["known_patient_name_0"] = ["Karen Jackson"]
    columns = [pa.array(values.get(of.name, [None]), of.type) for of in schema]
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    found = Worker(Task(Deid(), None)).work(batch, 0)
    kinds = [leak.kind for leak in found.leaks]
    assert kinds == ["patient_name", "phone", "social_security", "passport"]
    assert Worker(Task(Deid(enabled=True), None)).work(batch, 0).leaks == []


def test_a_records_folder_is_treated_as_a_stage(hospital, done, tmp_path):
    folder, _, _ = done
    settings = Deid(enabled=True, pseudonyms=True, key_file=hospital / "key", visit_time="quarter")
    runs.run_stage(stage, settings, folder / "out", tmp_path / "again")
    again = rows_of(tmp_path / "again")
    assert all(re.fullmatch(r"[0-9a-f]{20}", row["record_id"]) for row in again)
    assert len({row["record_id"] for row in again}) == 300
    assert {row["visit_time"].month for row in again} <= {1, 4, 7, 10}
    assert (tmp_path / "again" / "rejects.csv").is_file()


def test_a_split_by_time_needs_the_true_order(hospital, tmp_path):
    by_time = ["split.by=time", "split.test_from='2024-01-01'"]
    with pytest.raises(ConfigError, match="order of the visits"):
        prepare(project(hospital, *by_time), tmp_path / "p")


def test_any_table_is_treated_and_only_named_columns_come_out(hospital, tmp_path):
    table, out = tmp_path / "t.csv", tmp_path / "o.csv"
    table.write_text(
        "姓名,编号,主诉,备注\n"
        "黎可欣,1,黎可欣诉头痛2天，电话１３８０ ０１３ ８０００,内部\n"
        "赵云飞,2,发热T38.5℃，BP120/80,内部\n",
        encoding="gb18030",
    )
    before = table.read_bytes()
    rows, facts = deid_table.treat_table(table, out, deid_table.Plan(("主诉",), ("编号",)), Deid())
    assert rows == 2
    with out.open(encoding="utf-8-sig", newline="") as handle:
        assert list(csv.reader(handle)) == [
            ["编号", "主诉"],
            ["1", "[PATIENT_NAME]诉头痛2天，电话[PHONE]"],
            ["2", "发热T38.5℃，BP120/80"],
        ]
    assert table.read_bytes() == before
    assert facts["found"] == {"patient_name": {"placeholder": 1}, "phone": {"placeholder": 1}}
    assert (tmp_path / "o.deid_report.html").is_file()
    for wrong, says in [(tmp_path / "o.xlsx", "ending"), (table, "never touched")]:
        with pytest.raises(ConfigError, match=says):
            deid_table.treat_table(table, wrong, deid_table.Plan(("主诉",)), Deid())


def test_a_failure_leaves_no_part_behind(hospital, tmp_path):
    wishes = Wishes(tmp_path / "e.csv", tmp_path / "m", read_key(hospital / "key"))
    keep = "deid.operators={id_card='keep', phone='keep'}"
    with pytest.raises(RecordsError):
        deid.deidentify(project(hospital, keep), tmp_path / "out", wishes)
    assert list(tmp_path.iterdir()) == []


def test_a_model_reads_other_tables_through_its_own_treatment(hospital, tmp_path, monkeypatch):
    overrides = ["labels.top=5", "model.longest=1", "evaluate.bootstrap=0", "deid.audit_rows=0"]
    plain = config.load(
        hospital / clinic.PROJECT,
        ["deid.enabled=true", "deid.accept_identifiers=false", *overrides],
    )
    run = train(plain, tmp_path / "run")
    seen: list[str] = []
    joined = records.join_text

    def listen(rows):
        seen.extend(joined(rows))
        return joined(rows)

    monkeypatch.setattr(records, "join_text", listen)
    done = predict(run.folder, hospital / "hospital.db", tmp_path / "p.csv")
    assert done.rows_out == 300
    assert any("[ID_CARD]" in text for text in seen)
    assert not any(gate.scan(text) for text in seen)
    seen.clear()
    evaluate(run.folder, tmp_path / "report", data=hospital / "hospital.db")
    assert seen
    assert not any(gate.scan(text) for text in seen)

"""The main job end to end on a small clinic, and what a user may do wrong on the way."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from emrobust import clinic, config, records, runs
from emrobust.errors import ConfigError, InputError, LabelError, RunError, SourceError
from emrobust.evaluate import run as evaluation
from emrobust.evaluate import suites
from emrobust.package import layout
from emrobust.pipeline.check import check
from emrobust.pipeline.evaluate import compare, evaluate
from emrobust.pipeline.predict import predict
from emrobust.pipeline.prepare import LABELS, STAGES, SUITES, describe, prepare
from emrobust.pipeline.train import train
from emrobust.train import estimators
from emrobust.train import run as training

RECORDS = 1_500


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hospital")
    clinic.generate(folder, RECORDS, 5, workers=1, formats=("sqlite", "csv"))
    return folder


@pytest.fixture(scope="module")
def prepared(hospital, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    prepare(config.load(hospital / clinic.PROJECT), folder)
    return folder


@pytest.fixture(scope="module")
def run(hospital, prepared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tfidf"
    return train(config.load(hospital / clinic.PROJECT), folder, prepared)


def test_a_prepared_folder_keeps_every_row_or_says_why(prepared):
    rows = RECORDS
    for name in STAGES:
        summary = runs.Summary(**runs.read_json(prepared / name / runs.SUMMARY))
        assert summary.rows_in == rows
        assert summary.rows_out == summary.rows_in - sum(summary.rejected.values())
        rows = summary.rows_out
        with (prepared / name / "rejects.csv").open(encoding="utf-8") as handle:
            refused = list(csv.DictReader(handle))
        assert len(refused) == sum(summary.rejected.values())
    names = training.read_label_set(prepared / LABELS / "labels.json").names
    records.check(prepared / LABELS / records.FILE, names=names, split=True)


def test_preparing_again_does_nothing_until_something_changes(hospital, prepared):
    before = {name: (prepared / name / runs.MANIFEST).stat().st_mtime_ns for name in STAGES}
    prepare(config.load(hospital / clinic.PROJECT), prepared)
    after = {name: (prepared / name / runs.MANIFEST).stat().st_mtime_ns for name in STAGES}
    assert before == after


def test_a_run_is_kept_and_read_back(hospital, prepared, run):
    manifest = (run.folder / runs.MANIFEST).read_bytes()
    again = train(config.load(hospital / clinic.PROJECT), run.folder, prepared)
    assert (run.folder / runs.MANIFEST).read_bytes() == manifest
    assert again.names == run.names
    assert not (run.folder / training.CHECKPOINT).exists()


def test_the_report_shows_the_model_beside_the_best_possible_one(hospital, prepared, run, tmp_path):
    project = config.load(hospital / clinic.PROJECT, ["model.longest=2"])
    other = train(project, tmp_path / "bigrams", prepared)
    measured, _ = evaluate(run.folder, tmp_path / "report", baselines=[other.folder])
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text(encoding="utf-8"))
    for key in ("n", "macro_f1", "micro_f1", "pr_auc_macro", "ece", "brier", "per_label"):
        assert key in metrics
    low, high = metrics["interval"]["macro_f1"]
    assert low < metrics["macro_f1"] < high
    assert metrics["ceiling"]["macro_f1"] > metrics["macro_f1"]
    assert measured.ceiling is not None
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "longest = 2" in page
    lines = compare(other.folder, run.folder).lines()
    assert any("macro_f1" in line for line in lines)


@pytest.mark.parametrize(("content", "reason"), [(None, "does not exist"), (b"PAR1", "damaged")])
def test_a_report_appears_without_the_best_possible_one(run, tmp_path, content, reason):
    truth = tmp_path / "truth.parquet"
    if content is not None:
        truth.write_bytes(content)
    moved = tmp_path / "run"
    shutil.copytree(run.folder, moved)
    written = (moved / training.PROJECT).read_text(encoding="utf-8")
    (moved / training.PROJECT).write_text(
        written.replace(str(run.project.evaluate.truth), str(truth)), encoding="utf-8"
    )
    runs.write_manifest(moved, runs.read_json(moved / runs.MANIFEST)["facts"])
    measured, _ = evaluate(moved, tmp_path / "report")
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text(encoding="utf-8"))
    assert measured.ceiling is None
    assert reason in metrics["evidence"]["missing"]["ceiling"]
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert '<section id="missing">' in page
    assert evaluation.evaluate(training.load(moved)).scores == measured.scores


def test_no_text_of_a_record_gets_into_run_or_report(run, prepared, tmp_path):
    evaluate(run.folder, tmp_path / "report")
    table = records.read(prepared / LABELS / records.FILE)
    texts = [text for text in table["text_present_illness"].to_pylist()[:300] if len(text) > 15]
    files = [*run.folder.glob("*.*"), *(tmp_path / "report").iterdir()]
    for path in files:
        if path.suffix != ".parquet":
            content = path.read_text(encoding="utf-8")
            assert not any(text[:15] in content for text in texts), path.name
    assert pq.read_schema(run.folder / training.PREDICTIONS).names == [
        *("record_id", "patient_id", "split", "fold", "labels", "probability", "predicted")
    ]


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_table_is_predicted_as_the_run_predicts_it(hospital, run, tmp_path, ending):
    out = tmp_path / f"predictions{ending}"
    summary = predict(run.folder, hospital / "hospital.db", out)
    assert summary.rows_out == RECORDS
    if ending == ".parquet":
        stored = pq.read_table(run.folder / training.PREDICTIONS).to_pylist()
        fresh = {row["record_id"]: row for row in pq.read_table(out).to_pylist()}
        for row in stored:
            decided = {run.names[k] for k, one in enumerate(row["predicted"]) if one}
            assert set(fresh[row["record_id"]]["labels"]) == decided


def test_another_table_of_the_same_kind_is_evaluated_with_its_rejects(hospital, run, tmp_path):
    clinic.generate(tmp_path / "other", 300, 6, workers=1, formats=("sqlite",))
    measured, read = evaluate(
        run.folder, tmp_path / "report", data=tmp_path / "other" / "hospital.db"
    )
    kept = read[LABELS].rows_out
    assert measured.n == kept > 250
    assert (tmp_path / "report" / f"rejects-{LABELS}.csv").is_file()


def test_folds_test_every_row_once(hospital, tmp_path):
    project = config.load(
        hospital / clinic.PROJECT,
        ["split.folds=3", "labels.top=8", "model.longest=2", "evaluate.bootstrap=20"],
    )
    crossed = train(project, tmp_path / "run")
    table = pq.read_table(crossed.folder / training.PREDICTIONS)
    prepared_rows = records.count(tmp_path / "run" / "data" / LABELS / records.FILE)
    assert len(set(table["record_id"].to_pylist())) == table.num_rows == prepared_rows
    measured, _ = evaluate(crossed.folder, tmp_path / "report")
    assert measured.n == prepared_rows
    assert {score.threshold for score in measured.per_label} == {None}  # each fold has its own
    with pytest.raises(RunError, match="cross-validated"):
        predict(crossed.folder, hospital / "hospital.db", tmp_path / "p.csv")


def test_attacked_texts_of_other_records_go_when_a_table_is_prepared_anew(hospital, tmp_path):
    suite = tmp_path / SUITES / suites.ATTACK / "run.parquet"
    for top, is_there in ((8, False), (8, True), (5, False)):
        prepare(config.load(hospital / clinic.PROJECT, [f"labels.top={top}"]), tmp_path)
        assert suite.is_file() == is_there
        suite.parent.mkdir(parents=True, exist_ok=True)
        suite.touch()


def test_check_finds_what_would_fail_later(hospital):
    lines = check(config.load(hospital / clinic.PROJECT))
    assert lines[-1] == "the project file is sound"
    for override, says, kind in [
        ("model.name=textcn", "Did you mean `textcnn`?", ConfigError),
        ("model.longst=2", "Did you mean `longest`?", ConfigError),
        ("source.path=absent.db", "absent.db", SourceError),
        ("source.columns.patient_id=patient_nr", "patient_nr", SourceError),
        ("source.table=outpatients", "outpatients", SourceError),
        ("source.columns.labels=[]", "nothing to learn", ConfigError),
        ("source.columns.identifiers.patient_name=['nobody']", "`nobody` is missing", SourceError),
        ("labels.table=absent.csv", "absent.csv does not exist", LabelError),
        ("deid={enabled=true, key_file='absent.key'}", "absent.key does not exist", ConfigError),
        ("deid.operators.phone=vanish", "vanish", ConfigError),
        ("source.columns.labels=['visit_no']", "none of the 1,000 labels", LabelError),
        ("source.columns.text=['absent']", "`absent` is missing", SourceError),
    ]:
        with pytest.raises(kind) as caught:
            check(config.load(hospital / clinic.PROJECT, [override]))
        assert says in str(caught.value), override
    english = ["language=en", "normalize.width=true", "normalize.vitals=true"]
    lines = check(config.load(hospital / clinic.PROJECT, english))
    assert "normaliser: not for texts in `en`, and left out: vitals" in lines
    english = ["language=en", "model={name='transformer'}"]
    with pytest.raises(ConfigError, match="reads Chinese, and the project's texts are English"):
        check(config.load(hospital / clinic.PROJECT, english))


def test_check_refuses_a_key_that_others_can_read(hospital, tmp_path):
    key = tmp_path / "deid.key"
    key.write_text("0123456789abcdef0123456789abcdef", encoding="ascii")
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        check(config.load(hospital / clinic.PROJECT, ["deid.enabled=true", f"deid.key_file={key}"]))


def test_check_shows_which_column_is_what_and_the_commonest_classes(hospital):
    lines = check(config.load(hospital / clinic.PROJECT))
    assert "  record_id ← visit_no" in lines
    assert [line for line in lines if line.startswith("  labels ←")] == ["  labels ← icd10"]
    (classes,) = [line for line in lines if "commonest classes" in line]
    assert "原发性高血压 (" in classes
    assert classes.count("(") == 10


@pytest.mark.parametrize(
    ("kind", "labels", "says"),
    [
        ("icd10", ["I10", "I10;J06.9", "", "患者咳嗽"], ["4, 25.0% of them", "I10 (2), J06 (1)"]),
        ("plain", ["患者咳嗽", "患者咳嗽", "高血压"], ["  2 different ones"]),
        ("plain", ["", ""], ["labels of the first rows: 0"]),
    ],
)
def test_check_tells_what_labels_are_and_no_cell(tmp_path, kind, labels, says):
    project = write_small(tmp_path, kind, labels)
    said = "\n".join(check(project))
    assert all(words in said for words in says), said
    assert "咳嗽" not in said
    assert "record_id ← 就诊号" in said


def test_check_and_prepare_tell_of_dates_that_are_not_understood(tmp_path):
    write_small(tmp_path, "icd10", [])
    rows = "".join(
        f"V{n},胸闷,{'I10' if n % 2 else 'J06.9'},3/{n % 9 + 1}/2024\n" for n in range(60)
    )
    (tmp_path / "visits.csv").write_text(f"就诊号,主诉,诊断,日期\n{rows}", encoding="utf-8")
    for order, unread in (("ymd", True), ("mdy", False)):
        project = config.load(
            tmp_path / "project.toml",
            ["source.columns.visit_time=日期", f"source.date_order={order}"],
        )
        said = "\n".join(check(project))
        assert ("cells of 日期 are not understood" in said) == unread
        assert ("set date_order" in said) == unread
        told = "\n".join(describe(prepare(project, tmp_path / order)))
        assert ("60 cells of 日期 were not understood" in told) == unread


def test_texts_in_another_language_are_told_before_and_after(hospital, run, tmp_path):
    english = config.load(hospital / clinic.PROJECT, ["language=en"])
    warned = "warning: of the first rows 1,000 of 1,000 texts are in another language"
    assert warned in "\n".join(check(english))
    assert warned in "\n".join(describe(prepare(english, tmp_path / "prepared")))
    assert "warning" not in "\n".join(check(config.load(hospital / clinic.PROJECT)))
    header = "visit_no,chief_complaint,present_illness,past_history\n"
    for first, told in (("Cough and fever for three days", True), ("发热咳嗽三天", False)):
        rows = f"{header}1,{first},,\n2,T38.5,,\n3,咳嗽三天,,\n"
        (tmp_path / "visits.csv").write_text(rows, encoding="utf-8")
        summary = predict(run.folder, tmp_path / "visits.csv", tmp_path / "p.csv")
        assert ("warnings" in summary.notes) == told
        assert summary.rows_out == 3


@pytest.mark.parametrize(
    ("kind", "labels", "says"),
    [
        ("icd10", [], "has a header but no rows"),
        ("icd10", ["患者咳嗽", "头痛"], "none of the 2 labels of the first rows"),
    ],
)
def test_check_refuses_rows_of_which_nothing_can_be_used(tmp_path, kind, labels, says):
    with pytest.raises(InputError, match=says) as caught:
        check(write_small(tmp_path, kind, labels))
    assert "咳嗽" not in str(caught.value)


def write_small(folder, kind, labels):
    """A project whose table has these labels, one a row."""
    rows = "".join(f"V{place},胸闷,{label}\n" for place, label in enumerate(labels))
    (folder / "visits.csv").write_text("就诊号,主诉,诊断\n" + rows, encoding="utf-8")
    (folder / "project.toml").write_text(
        f"""
        [source]
        path = "visits.csv"
        [source.columns]
        record_id = "就诊号"
        text = ["主诉"]
        labels = ["诊断"]
        [labels]
        kind = "{kind}"
        """,
        encoding="utf-8",
    )
    return config.load(folder / "project.toml")


@pytest.mark.parametrize(
    ("overrides", "says", "kind"),
    [
        (["labels.top=1", "labels.rare=drop"], "class", LabelError),
        (["source.columns.labels=[]"], "nothing to learn", ConfigError),
        (["split.by=site", "split.test_sites=['北院']"], "北院", InputError),
        (["split.by=time", "split.test_from='2035-01-01'"], "test", InputError),
    ],
)
def test_what_cannot_be_prepared_says_so(hospital, tmp_path, overrides, says, kind):
    with pytest.raises(kind) as caught:
        prepare(config.load(hospital / clinic.PROJECT, overrides), tmp_path / "p")
    assert says in str(caught.value)


def test_folders_that_are_not_runs_say_so(run, tmp_path, prepared):
    with pytest.raises(RunError, match="not a finished run"):
        evaluate(prepared, tmp_path / "r")
    with pytest.raises(RunError, match="does not exist"):
        evaluate(tmp_path / "absent", tmp_path / "r")
    with pytest.raises(RunError, match="does not exist"):
        train(run.project, tmp_path / "x", tmp_path / "absent")
    with pytest.raises(RunError, match="does not exist"):
        layout.verify(tmp_path / "absent")
    with pytest.raises(RunError, match="not a prepared folder"):
        train(run.project, tmp_path / "x", run.folder)
    changed = tmp_path / "changed"
    shutil.copytree(run.folder, changed)
    (changed / "labels.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunError, match=r"labels\.json was changed"):
        evaluate(changed, tmp_path / "r")
    with pytest.raises(ConfigError, match="ending"):
        predict(run.folder, tmp_path / "t.csv", tmp_path / "p.xlsx")
    with pytest.raises(SourceError, match=r"t\.csv"):
        predict(run.folder, tmp_path / "t.csv", tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()


def test_a_run_is_never_overwritten_by_another(hospital, prepared, run):
    before = runs.checksum(run.folder)
    changed = config.load(hospital / clinic.PROJECT, ["model.longest=2"])
    with pytest.raises(RunError, match="holds a finished run with other settings"):
        train(changed, run.folder, prepared)
    assert runs.checksum(run.folder) == before


def test_a_run_is_not_taken_for_one_of_files_that_were_changed(hospital, prepared, tmp_path):
    rows = training.read_rows(prepared / LABELS / records.FILE)
    known = [t for t, of in zip(rows.texts, rows.split, strict=True) if of == "train"]
    table = tmp_path / "back.jsonl"
    lines = [json.dumps({"text": text, "translation": text + "。"}) + "\n" for text in known]
    table.write_text("".join(lines), encoding="utf-8")
    shares = [f"augment.{name}=0" for name in ("rules", "masked_lm", "mixup")]
    project = config.load(hospital / clinic.PROJECT, [
        "model={name='textcnn'}", "train.epochs=1", "augment.probability=0.1", *shares,
        "augment.back_translation=1", f"augment.translations={table}",
    ])  # fmt: skip
    folder = tmp_path / "run"
    made = train(project, folder, prepared)
    assert train(project, folder, prepared).facts == made.facts
    table.write_text("".join(lines[1:]), encoding="utf-8")
    with pytest.raises(RunError, match=r"with other content of back\.jsonl \(`augment\.trans"):
        train(project, folder, prepared)
    assert training.load(folder).facts == made.facts


def test_a_checkpoint_is_known_by_its_files(hospital, bert, tmp_path):
    shutil.copytree(bert, tmp_path / "encoder")
    project = config.load(
        hospital / clinic.PROJECT,
        ["model={name='transformer'}", f"model.checkpoint={tmp_path / 'encoder'}"],
    )
    facts = training.facts_of(project)
    folder = tmp_path / "run"
    runs.write_manifest(folder, facts)
    (tmp_path / "encoder" / "README.md").write_text("of no weight")
    training.claim(folder, training.facts_of(project))
    weights = tmp_path / "encoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(
        RunError, match=r"other content of model\.safetensors \(`model\.checkpoint`\)"
    ):
        training.claim(folder, training.facts_of(project))
    shutil.rmtree(weights.parent)
    training.claim(folder, training.facts_of(project))


def test_a_default_that_has_changed_since_makes_it_another_run(hospital, tmp_path):
    project = config.load(
        hospital / clinic.PROJECT,
        ["model={name='textcnn'}", "train.adversary={name='freelb', steps=2}"],
    )
    facts = training.facts_of(project)
    then = facts[training.COMPONENTS]
    assert then["train.adversary"]["steps"] == 2
    assert {"name", "epsilon", "magnitude", "steps"} <= then["train.adversary"].keys()
    assert then["train.loss"]["name"] == "bce"
    assert then["model"]["name"] == "textcnn"
    runs.write_manifest(tmp_path / "run", json.loads(json.dumps(facts)))
    training.claim(tmp_path / "run", facts)
    then["train.adversary"]["epsilon"] = 0.5
    runs.write_manifest(tmp_path / "run", facts)
    with pytest.raises(RunError, match=r"with other defaults of `train\.adversary`"):
        training.claim(tmp_path / "run", training.facts_of(project))


def test_a_run_older_than_these_checksums_is_kept(hospital, tmp_path):
    """Of the embedded encoder nothing is noted, of an older run nothing is known."""
    for checkpoint, known in (("emrobust/zh-small", {}), (str(tmp_path), {"model.checkpoint"})):
        (tmp_path / "config.json").write_text("{}")
        project = config.load(
            hospital / clinic.PROJECT,
            [
                "model={name='transformer'}",
                f"model.checkpoint={checkpoint}",
                "train.adversary=none",
            ],
        )
        facts = training.facts_of(project)
        assert set(facts[training.INPUTS]) == set(known)
        folder = tmp_path / "older"
        runs.write_manifest(folder, {"project": facts["project"]})
        training.claim(folder, facts)


def test_a_run_older_than_a_models_own_adversary_is_a_plain_one(hospital, tmp_path):
    project = config.load(hospital / clinic.PROJECT, ["model={name='transformer'}"])
    facts = training.facts_of(project)
    older = {"project": facts["project"]}
    assert training.adversary_of(facts) == "freelb"
    assert training.adversary_of(older) is None
    runs.write_manifest(tmp_path / "run", older)
    with pytest.raises(RunError, match=r"with other defaults of `train\.adversary`"):
        training.claim(tmp_path / "run", facts)


def test_a_wrong_lexicon_is_found_before_the_table_is_read(hospital, tmp_path):
    own = "formal,synonyms,colloquial,abbreviated,source\n左踝震颤,右踝震颤,,,our notes\n"
    (tmp_path / "symptom.csv").write_text(own, encoding="utf-8")
    given = f"augment.perturbations=[{{name='synonym', lexicon='{tmp_path}'}}]"
    overrides = ["model={name='textcnn'}", "augment.probability=0.5", given]
    shares = ["augment.back_translation=0", "augment.rules=0.6"]
    project = config.load(hospital / clinic.PROJECT, [*overrides, *shares])
    with pytest.raises(ConfigError, match=r"symptom\.csv, line 2"):
        estimators.build(project, ())


def test_english_notes_want_a_masked_lm_of_their_own(hospital, bert):
    overrides = ["language=en", "model={name='textcnn'}", "augment.probability=0.5"]
    shares = ["augment.back_translation=0"]
    with pytest.raises(ConfigError, match="`augment.masked_lm`: `emrobust/zh-small` writes Chin"):
        estimators.build(config.load(hospital / clinic.PROJECT, [*overrides, *shares]), ())
    for more in (f"augment.checkpoint={bert}", "augment.redistribute=true"):
        estimators.build(config.load(hospital / clinic.PROJECT, [*overrides, *shares, more]), ())


TRAIN = """
import sys, time
from pathlib import Path
from emrobust import config
from emrobust.pipeline.train import train
from emrobust.train import run as training
began = training.read_rows
def slowly(path):
    print("reading", flush=True)
    time.sleep(float(sys.argv[4]))
    return began(path)
training.read_rows = slowly
try:
    train(config.load(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]))
except training.RunError as error:
    sys.exit(str(error))
"""


def start_training(hospital, folder, prepared, seconds):
    """`train` in a process of its own, which holds its folder for so long."""
    words = [hospital / clinic.PROJECT, folder, prepared, str(seconds)]
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_one_process_at_a_time_trains_in_a_folder(hospital, prepared, run, tmp_path):
    folder = tmp_path / "run"
    with start_training(hospital, folder, prepared, 600) as first:
        assert first.stdout.readline() == "reading\n"
        with pytest.raises(RunError, match="another process works in"):
            train(config.load(hospital / clinic.PROJECT), folder, prepared)
        first.kill()
    made = train(config.load(hospital / clinic.PROJECT), folder, prepared)
    assert {path.name for path in folder.iterdir()} == {path.name for path in run.folder.iterdir()}
    assert made.facts == run.facts


def test_training_that_prepares_its_own_data_tells_what_was_done(hospital, tmp_path, capsys):
    overrides = ["model.longest=1", "evaluate.bootstrap=10", "labels.top=20"]
    project = config.load(hospital / clinic.PROJECT, [*overrides, "language=en"])
    train(project, tmp_path / "run")
    told = capsys.readouterr().err.splitlines()
    assert set(describe(prepare(project, tmp_path / "run" / training.DATA))) <= set(told)
    assert any("warning" in line and "another language" in line for line in told)


def test_a_run_outlives_its_prepared_data_and_may_lump_rare_classes(hospital, tmp_path):
    overrides = ["model.longest=1", "evaluate.bootstrap=10", "labels.top=20"]
    made = train(config.load(hospital / clinic.PROJECT, overrides), tmp_path / "run")
    shutil.rmtree(made.folder / training.DATA)
    measured, _ = evaluate(made.folder, tmp_path / "report")
    assert measured.n > 100
    assert len(made.names) == 21
    assert measured.ceiling is None


def test_other_records_or_classes_are_not_compared(hospital, run, tmp_path):
    project = config.load(hospital / clinic.PROJECT, ["seed=7", "model.longest=1"])
    other = train(project, tmp_path / "other")
    with pytest.raises(InputError, match="not tested on the same records"):
        compare(run.folder, other.folder)


def test_runs_on_corrected_labels_are_compared_on_one_table(easy, tmp_path):
    texts, labels, _ = easy(240)
    split = ["train"] * 160 + ["validation"] * 40 + ["test"] * 40
    header = "id,text,label,split\n"
    rows = list(zip(texts, labels, split, strict=True))
    other = {"skin": "cold", "cold": "skin", "heart": "skin", "stomach": "skin"}
    wrong = [(text, other[label], of) for text, label, of in rows[200:203]]
    corrected = [*rows[:200], *wrong, *rows[203:]]
    folders = []
    for name, given in (("old", rows), ("new", corrected)):
        lines = [f"V{place},{text},{label},{of}\n" for place, (text, label, of) in enumerate(given)]
        (tmp_path / f"{name}.csv").write_text(header + "".join(lines), encoding="utf-8")
        (tmp_path / f"{name}.toml").write_text(
            f"""
            [source]
            path = "{name}.csv"
            [source.columns]
            record_id = "id"
            text = ["text"]
            labels = ["label"]
            split = "split"
            [labels]
            kind = "plain"
            task = "single"
            [evaluate]
            bootstrap = 10
            suites = []
            """,
            encoding="utf-8",
        )
        folders.append(train(config.load(tmp_path / f"{name}.toml"), tmp_path / name).folder)
        (tmp_path / "held-out.csv").write_text(header + "".join(lines[200:]), encoding="utf-8")
    old, new = folders
    with pytest.raises(InputError, match="the labels of 3 of the 40 records are not the same"):
        compare(old, new)
    measured, _ = evaluate(new, tmp_path / "report", tmp_path / "held-out.csv", [old])
    assert measured.n == 40
    written = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert not [part for part in written["evidence"]["missing"] if part.startswith("baseline")]

"""What `evaluate` shows beyond the scores, and what it does where a part cannot be had."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import sqlite3

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from emrobust import clinic, config, records, runs
from emrobust.errors import InputError
from emrobust.evaluate import run as evaluation
from emrobust.pipeline.evaluate import evaluate, lines_of_comparison
from emrobust.pipeline.predict import predict
from emrobust.pipeline.prepare import LABELS, SUITES, prepare
from emrobust.pipeline.train import train
from emrobust.train import run as training

OVERRIDES = [
    *("model.longest=1", "labels.top=8", "split.test=0.4"),
    *("evaluate.bootstrap=40", "evaluate.suite_records=200"),
]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hospital")
    clinic.generate(folder, 1_600, 5, workers=1, formats=("sqlite",))
    return folder


def project(hospital, *more):
    plain = config.load(hospital / clinic.PROJECT, [*OVERRIDES, *more])
    settings = plain.evaluate.model_copy(update={"truth": None})
    return plain.model_copy(update={"evaluate": settings})


@pytest.fixture(scope="module")
def prepared(hospital, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    prepare(project(hospital), folder)
    return folder


@pytest.fixture(scope="module")
def made(hospital, prepared, tmp_path_factory):
    """Two recipes; the second under two seeds."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        train(project(hospital, *settings), folder / name, prepared)
        for name, settings in (
            ("plain", ()),
            ("pairs", ("model.longest=2",)),
            ("pairs-7", ("model.longest=2", "seed=7")),
        )
    ]


def found_in(out):
    return json.loads((out / "metrics.json").read_text(encoding="utf-8"))["evidence"]


def test_every_part_is_measured_and_shown(made, prepared, tmp_path):
    plain, pairs, again = made
    measured, _ = evaluate(pairs.folder, tmp_path, baselines=[plain.folder, again.folder])
    found = found_in(tmp_path)
    assert found["missing"] == {}
    assert (pairs.folder / training.CALIBRATION).is_file()
    assert measured.scores["ece"] == pytest.approx(found["calibration"]["after"]["ece"])
    assert found["calibration"]["after"]["ece"] <= 0.02
    of_labels = found["calibration"]["label_ece_mass"]
    assert of_labels.keys() == found["calibration"]["label_ece"].keys()
    assert all(0 <= error <= 1 for pair in of_labels.values() if pair for error in pair)
    drops = {name: of["drop"]["macro_f1"] for name, of in found["suites"].items()}
    assert drops["noise-1"] < drops["noise-5"]
    assert drops["short"] > 0.1
    assert {group["aspect"] for group in found["fairness"]["groups"]} >= {"sex", "age", "site"}
    assert set(found["shift"].values()) == {"none"}
    recipes = found["significance"]["recipes"]
    assert [next(iter(of.values()))["seeds"] for of in recipes.values()] == [1, 2]
    assert {claim["reason"] for claim in found["significance"]["claims"]} == {"seeds"}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for part in ("calibration", "sets", "suites", "groups", "discovery", "significance"):
        assert f'<section id="{part}">' in page, part
    assert '<section id="missing">' not in page
    files = sorted((prepared / SUITES / "written").iterdir())
    before = [file.stat().st_mtime_ns for file in files]
    evaluate(again.folder, tmp_path / "again")  # whose seed is another
    assert [file.stat().st_mtime_ns for file in files] == before


def test_prediction_writes_the_calibrated_probabilities_and_the_models_decisions(
    made, hospital, tmp_path
):
    _, pairs, _ = made
    predict(pairs.folder, hospital / "hospital.db", tmp_path / "p.jsonl")
    lines = (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()
    written = {row["record_id"]: row for row in map(json.loads, lines)}
    calibrator = evaluation.calibrator_of(pairs)
    of = evaluation.read(pairs, calibrator=calibrator)
    assert calibrator.name != "none"
    for row, record in enumerate(of.record_id[:50]):
        probability = of.predictions.probability[row]
        assert written[record]["likeliest_probability"] == pytest.approx(
            probability.max(), abs=1e-3
        )
        decided = {pairs.names[k] for k in of.predictions.predicted[row].nonzero()[0]}
        assert set(written[record]["labels"]) == decided


def test_what_cannot_be_had_is_said_and_the_rest_appears(made, prepared, tmp_path):
    plain, pairs, _ = made
    changed, alone, old = tmp_path / "changed", tmp_path / "alone", tmp_path / "old"
    outside = _with_probability(made[2].folder, tmp_path / "outside", 1.5)
    shutil.copytree(plain.folder, changed)
    (changed / training.HISTORY).write_text("[]", encoding="utf-8")
    shutil.copytree(plain.folder, old)
    manifest = runs.read_json(old / runs.MANIFEST)
    manifest["facts"]["version"] = 99
    runs.write_json(old / runs.MANIFEST, manifest)
    shutil.copytree(pairs.folder, alone)
    about = runs.read_json(alone / training.PREPARED)
    runs.write_json(alone / training.PREPARED, {**about, "folder": str(tmp_path / "gone")})
    runs.write_manifest(alone, runs.read_json(alone / runs.MANIFEST)["facts"])
    out = tmp_path / "report"
    measured, _ = evaluate(alone, out, baselines=[changed, old, outside, made[2].folder])
    missing = found_in(out)["missing"]
    assert measured.n > 300
    assert "history.json was changed after it was written" in missing["baseline changed"]
    assert "another version" in missing["baseline old"]
    assert "is 1.5, outside 0 to 1" in missing["baseline outside"]
    (seeds,) = found_in(out)["significance"]["recipes"].values()
    assert seeds["macro_f1"]["seeds"] == 2
    for part in ("suites", "slices", "discovery", "shift"):
        assert "Give the prepared folder with --data" in missing[part]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert '<section id="missing">' in page
    assert '<section id="sets">' in page
    evaluate(alone, out, data=prepared)
    assert found_in(out)["missing"] == {}
    with pytest.raises(InputError, match="is not a prepared folder|holds other records"):
        evaluate(alone, out, data=_other(prepared, tmp_path / "other"))


def _with_probability(folder, target, value):
    """A copy of a run that stored this as the probability of its last test record's first label."""
    shutil.copytree(folder, target)
    file = target / training.PREDICTIONS
    table = pq.read_table(file)
    rows = table["probability"].to_pylist()
    rows[-1][0] = value
    place = table.schema.get_field_index("probability")
    field = table.schema.field(place)
    pq.write_table(table.set_column(place, field, pa.array(rows, field.type)), file)
    runs.write_manifest(target, runs.read_json(target / runs.MANIFEST)["facts"])
    return target


def test_a_small_table_is_measured_though_nothing_could_be_learned_from_it(
    made, hospital, tmp_path
):
    with contextlib.closing(sqlite3.connect(hospital / "hospital.db")) as database:
        found = database.execute("select * from outpatient group by patient_no limit 3")
        names = [of[0] for of in found.description]
        with (tmp_path / "few.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([names, *found])
    measured, _ = evaluate(made[0].folder, tmp_path / "out", data=tmp_path / "few.csv")
    assert measured.n == 3


def _other(prepared, target):
    """A prepared folder of other records."""
    shutil.copytree(prepared, target)
    table = records.read(target / LABELS / records.FILE)
    records.write(target / LABELS / records.FILE, table.schema, table.slice(1).to_batches())
    return target


def test_broken_suites_leave_the_others_alone(made, prepared, tmp_path):
    own = tmp_path / "prepared"
    shutil.copytree(prepared, own)
    place = own / SUITES / "attack"
    place.mkdir(parents=True)
    (place / "broken.parquet").write_bytes(b"no table")
    table = records.read(own / LABELS / records.FILE)
    records.write(place / "empty.parquet", table.schema, table.slice(0, 0).to_batches())
    test = table.filter(pc.equal(table["split"], "test"))
    turned = pa.array(test["labels"].to_pylist()[::-1], test["labels"].type)
    moved = test.set_column(test.schema.get_field_index("labels"), "labels", turned)
    records.write(place / "moved.parquet", table.schema, moved.to_batches())
    evaluate(made[0].folder, tmp_path / "out", data=own)
    found = found_in(tmp_path / "out")
    assert set(found["missing"]) == {f"suite attack-{of}" for of in ("broken", "empty", "moved")}
    assert "other labels" in found["missing"]["suite attack-moved"]
    assert "no records to measure" in found["missing"]["suite attack-empty"]
    assert "noise-paper" in found["suites"]


def test_compare_takes_several_seeds_and_says_what_two_runs_cannot_tell(made, tmp_path):
    plain, pairs, again = (run.folder for run in made)
    assert "no claim about their recipes" in lines_of_comparison([plain, pairs])[-1]
    lines = lines_of_comparison([plain, pairs, again])
    assert any("(2 seeds)" in line for line in lines)
    assert "fewer than 2 seeds" in lines[-1]
    copy = shutil.copytree(plain, tmp_path / "copy")
    assert "(one seed)" in lines_of_comparison([copy, plain, again])[1]
    with pytest.raises(InputError, match="needs two runs"):
        lines_of_comparison([plain])

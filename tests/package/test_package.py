"""A package answers as its run does, wherever it is, or refuses to answer."""

from __future__ import annotations

import csv
import datetime as dt
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from emrobust import package, runs
from emrobust.cli import app
from emrobust.errors import ConfigError, InputError, RunError, SourceError
from emrobust.evaluate import run as evaluation
from emrobust.evaluate.calibration import control
from emrobust.onnx import engine, probe
from emrobust.package import layout
from emrobust.package.diagnosis import diagnose
from emrobust.pipeline.evaluate import evaluate
from emrobust.pipeline.export import export
from emrobust.pipeline.predict import predict
from emrobust.pipeline.train import train
from emrobust.train import run as training

MODELS = ("tfidf", "textcnn", "bilstm", "transformer")
# An empty text, one that is cut, one in full-width letters, one that no vocabulary knows.
ODD = ["", "腹痛腹泻" * 200, "ＢＰ１２０／８０，咳嗽", "🙂 fever"]


@pytest.fixture
def copy(packages, tmp_path):
    return shutil.copytree(packages("textcnn").folder, tmp_path / "copy")


@pytest.mark.parametrize("model", MODELS)
def test_it_gives_the_numbers_of_its_run(model, runs_of, packages, easy):
    texts = [*easy(150, 3)[0], *ODD]
    run, loaded = runs_of(model), package.load(packages(model).folder, precision="fp32", threads=2)
    expected, decided = training.probabilities(run.estimator(), texts)
    own = loaded.predict_proba(texts)
    assert own.shape == (len(texts), 4)
    np.testing.assert_allclose(own, expected, atol=1e-5)
    calibrator = evaluation.calibrator_of(run)
    probability, chosen = loaded.calibrate(own), loaded.decide(own)
    np.testing.assert_allclose(probability, calibrator.apply(expected), atol=1e-4)
    assert (chosen == decided).mean() > 0.999
    assert loaded.names == run.names
    for precision in ("auto", "int8"):
        other = package.load(packages(model).folder, precision=precision, threads=1)
        assert np.abs(other.predict_proba(texts) - expected).max() < probe.INT8_LARGEST
    (alone,) = package.load(packages(model).folder, precision="fp32", single=True).predict_proba(
        texts[:1]
    )
    np.testing.assert_allclose(alone, expected[0], atol=1e-5)


def test_sets_hold_what_they_promise(packages, runs_of, easy):
    loaded = package.load(packages("tfidf").folder)
    texts, _, truth = easy(300, 4)
    columns = [("cold", "stomach", "heart", "skin").index(name) for name in loaded.names]
    own = loaded.predict_proba(texts)
    inside = loaded.sets(own, 0.9)
    assert (inside & truth[:, columns]).sum() / truth.sum() > 0.85
    assert inside.sum() <= loaded.sets(own, 0.95).sum()
    with pytest.raises(InputError, match=r"no prediction sets for 0\.7"):
        loaded.sets(own, 0.7)
    # A calibrator saw the validation records, on which the promise is made.
    validation = evaluation.read(runs_of("tfidf"), split="validation").predictions
    assert loaded.guarantees[0.9].cut == control(validation, 0.9).cut
    for row in own[:20]:
        found = diagnose(loaded, row[None], coverage=0.9)[0].inside
        assert np.array_equal(found, row >= loaded.guarantees[0.9].cut)


def test_a_table_gets_sets_and_reasons_of_its_own_coverage(packages, runs_of, tmp_path, easy):
    made = packages("tfidf").folder
    loaded, texts = package.load(made), easy(40, 7)[0]
    table = tmp_path / "new.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("visit", "note"), *enumerate(texts)])
    for coverage in (None, 0.95):
        out = tmp_path / "out.jsonl"
        predict(made, table, out, coverage=coverage)
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        told = diagnose(loaded, loaded.predict_proba(texts), coverage=coverage or 0.9)
        for row, one in zip(rows, told, strict=True):
            assert row["reasons"] == list(one.reasons)
            inside = [name for name, held in zip(loaded.names, one.inside, strict=True) if held]
            assert sorted(row["prediction_set"]) == sorted(inside)
            assert row["prediction_set"][:1] in ([], [row["likeliest"]])
    with pytest.raises(InputError, match=r"no prediction sets for 0\.7"):
        predict(made, table, out, coverage=0.7)
    with pytest.raises(ConfigError, match="promises no coverage"):
        predict(runs_of("tfidf").folder, table, out, coverage=0.9)


def test_a_table_without_sets_is_told_why(packages, tmp_path, monkeypatch):
    made = packages("tfidf").folder
    loaded = replace(package.load(made), guarantees={})
    monkeypatch.setattr(package, "load", lambda *_, **__: loaded)
    (tmp_path / "new.csv").write_text("visit,note\n1,咳嗽三天\n", encoding="utf-8")
    done = predict(made, tmp_path / "new.csv", tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))["prediction_set"] == []
    assert any("too few validation records" in warning for warning in done.notes["warnings"])


@pytest.mark.parametrize("model", ["tfidf", "textcnn", "transformer"])
def test_it_tells_where_a_model_reads_only_the_beginning(packages, model):
    loaded = package.load(packages(model).folder)
    read = {"tfidf": 99, "textcnn": 64, "transformer": 62}[model]  # two tokens are special
    for size in (1, 62, 63, 64, 65, 99):
        assert loaded.extent("痛" * size) == min(size, read)
    if model == "textcnn":  # it reads normalised texts, which have no invisible spaces
        assert loaded.extent("\u200b" + "痛" * 64 + " ") == 66
        assert loaded.extent("\u200b" + "痛" * 99) == 65


def test_it_holds_what_it_takes_and_nothing_of_the_records(runs_of, packages, easy):
    folder = packages("transformer").folder
    kinds = {file.suffix for file in folder.rglob("*") if file.is_file()}
    assert kinds <= {".json", ".onnx", ".safetensors", ".md", ".html", ".toml", ".sha256"}
    assert (folder / "model_card.html").is_file()
    assert "Apache-2.0" in (folder / layout.LICENSES).read_text(encoding="utf-8")
    everything = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert not any(text.encode() in everything for text in easy(700)[0] if len(text) > 12)
    source = runs_of("transformer").project.source.path
    assert str(source).encode() not in everything
    assert package.load(folder).labels[0].keys() == {"name", "codes", "titles"}


def test_every_changed_byte_is_refused_by_the_files_name(copy):
    for file in sorted(path for path in copy.rglob("*") if path.is_file()):
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(RunError, match=file.name.replace(".", r"\.")):
            package.load(copy)
        file.write_bytes(content)
    (copy / "added.onnx").write_bytes(b"x")
    with pytest.raises(RunError, match=r"added\.onnx does not belong"):
        package.load(copy)
    (copy / "added.onnx").unlink()
    (copy / layout.FP32).unlink()
    with pytest.raises(RunError, match=r"model\.onnx is missing"):
        package.load(copy)


def reseal(folder, **facts):
    old = runs.read_json(folder / runs.MANIFEST)["facts"]
    (folder / layout.DIGEST).unlink()
    runs.write_manifest(folder, {**old, **facts})
    runs.write_text(folder / layout.DIGEST, runs.checksum(folder / runs.MANIFEST) + "\n")


def test_another_version_an_expired_one_and_no_package_are_refused(copy, tmp_path):
    reseal(copy, version=99)
    with pytest.raises(RunError, match="format 99"):
        package.load(copy)
    reseal(copy, version=layout.VERSION)
    assert layout.days_left(copy) is None, "the clinic's records are made up"
    record = {
        "approval": "A-1", "purpose": "research", "legal_basis": "consent",
        "responsible_role": "office", "retain_until": "2026-01-31", "data_level": 3,
    }  # fmt: skip
    runs.write_json(copy / layout.DATA_USE, record)
    reseal(copy)
    assert package.load(copy, today=dt.date(2026, 1, 31)).names
    with pytest.raises(ConfigError, match="retain_until"):
        package.load(copy, today=dt.date(2026, 2, 1))
    assert layout.days_left(copy, dt.date(2026, 2, 1)) == -1
    assert layout.days_left(copy, dt.date(2026, 1, 1)) == 30
    with pytest.raises(RunError, match="is no package"):
        package.load(tmp_path)


def spoil(path, factor):
    """Multiply the first scales of a graph's int8 weights."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name.endswith("_scale"):
            values = onnx.numpy_helper.to_array(tensor) * np.float32(factor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, path)


def test_int8_that_differs_is_not_used_and_fp32_that_differs_refuses(copy, easy):
    sound = package.load(copy, precision="fp32").predict_proba(easy(20)[0])
    spoil(copy / layout.INT8, 3)
    reseal(copy)
    with pytest.warns(RuntimeWarning, match="fp32 is used"):
        loaded = package.load(copy, precision="int8")
    assert loaded.report.precision == "fp32"
    assert loaded.report.difference > probe.INT8_LARGEST
    np.testing.assert_array_equal(loaded.predict_proba(easy(20)[0]), sound)
    shutil.copy(copy / layout.INT8, copy / layout.FP32)
    reseal(copy)
    with pytest.raises(RunError, match="answers otherwise on this machine"):
        package.load(copy, precision="fp32")


def test_a_table_is_predicted_as_by_the_run(runs_of, packages, tmp_path, easy):
    table = tmp_path / "new.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["visit", "patient", "note"])
        writer.writerows([f"n{row}", f"q{row}", text] for row, text in enumerate(easy(60, 5)[0]))
        writer.writerow(["n0", "q0", "twice"])
    predict(runs_of("transformer").folder, table, tmp_path / "run.csv")
    arguments = [str(packages("transformer").folder), "--data", str(table)]
    done = CliRunner().invoke(
        app, ["predict", *arguments, "--out", str(tmp_path / "package.csv"), "--precision", "fp32"]
    )
    assert done.exit_code == 0, done.output
    assert "60 predictions" in done.output
    assert "1 rows refused" in done.output
    rows = [(tmp_path / name).read_text(encoding="utf-8-sig").splitlines()
            for name in ("run.csv", "package.csv")]  # fmt: skip
    assert len(rows[0]) == len(rows[1]) == 61
    assert rows[1][0] == f"{rows[0][0]},prediction_set,reasons"
    same = sum(b.startswith(f"{a},") for a, b in zip(*rows, strict=True))
    assert same >= 59  # a probability may be rounded the other way
    with pytest.raises(ConfigError, match="ending"):
        predict(packages("transformer").folder, table, tmp_path / "out.txt")
    with pytest.raises(ConfigError, match="0 threads"):
        predict(packages("transformer").folder, table, tmp_path / "out.csv", threads=0)


def test_a_table_to_predict_needs_the_number_and_the_text(project, tmp_path, easy):
    columns = {
        "record_id": "visit", "patient_id": "patient", "text": ["note"], "labels": ["diagnosis"],
        "identifiers": {"patient_name": ["patient"]},
    }  # fmt: skip
    whole = project("tfidf", source={"columns": columns}, deid={"enabled": True})
    run = train(whole, tmp_path / "run")
    made = export(run.folder, tmp_path / "package")
    table = tmp_path / "new.csv"
    texts = [f"{text} 电话13812345678" for text in easy(20, 5)[0]]
    table.write_text("\n".join(["visit,note", *(f"n{n},{t}" for n, t in enumerate(texts))]))
    for folder in (run.folder, made.folder):
        arguments = ["predict", str(folder), "--data", str(table)]
        done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out.csv")])
        assert done.exit_code == 0, done.output
        assert "20 predictions" in done.output
        assert done.output.count("patient") == 1
    with pytest.raises(SourceError, match="`patient` is missing"):
        evaluate(run.folder, tmp_path / "report", table)


def test_a_package_that_deidentifies_needs_no_key(project, tmp_path, easy):
    from emrobust.deid.key import make_key

    make_key(tmp_path / "secret.key")
    treated = project(
        "tfidf", deid={"enabled": True, "key_file": tmp_path / "secret.key", "pseudonyms": True}
    )
    run = train(treated, tmp_path / "run")
    made = export(run.folder, tmp_path / "package")
    text = (made.folder / layout.DEID).read_text(encoding="utf-8")
    assert "secret.key" not in text
    (tmp_path / "secret.key").unlink()
    done = predict(made.folder, treated.source.path, tmp_path / "out.jsonl")
    assert done.rows_out == 700
    assert '"record_id": "v0"' in (tmp_path / "out.jsonl").read_text(encoding="utf-8")


def test_what_cannot_be_exported_is_refused(runs_of, project, tmp_path):
    folds = train(project("tfidf", split={"folds": 3}), tmp_path / "folds")
    with pytest.raises(RunError, match="cross-validated"):
        export(folds.folder, tmp_path / "package")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="is no package, so it is not overwritten"):
        export(runs_of("tfidf").folder, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").is_file()
    with pytest.raises(RunError, match="does not exist"):
        export(tmp_path / "nowhere", tmp_path / "package")
    assert not (tmp_path / "package").exists()


def test_loading_imports_no_torch(packages):
    """A service shall start in a second and stay small."""
    code = (
        "import sys; from pathlib import Path; from emrobust import package;"
        "loaded = package.load(Path(sys.argv[1])); own = loaded.predict_proba(['腹痛']);"
        "loaded.drift.describe(['腹痛'], own); loaded.missing('cold', '腹痛');"
        "assert not {'torch', 'transformers', 'sklearn', 'emrobust.explain'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(packages("transformer").folder)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


class Counting:
    """A session that remembers its batches and answers with each row's own numbers."""

    labels, pad = 1, 0

    def __init__(self):
        self.sizes = []

    def run(self, rows):
        self.sizes.append((len(rows), max(map(len, rows))))
        return np.array([[row[0]] for row in rows], dtype=np.float32)


def test_batches_keep_the_order_and_the_budget():
    random = np.random.default_rng(0)
    rows = [[number, *[1] * int(random.integers(0, 200))] for number in range(500)]
    counting = Counting()
    with ThreadPoolExecutor(2) as pool:
        found = engine.compute(counting, rows, pool, batch_tokens=128)
    assert found[:, 0].tolist() == list(range(500))
    assert all(size * longest <= 128 or size == 1 for size, longest in counting.sizes)
    used = sum(map(len, rows))
    padded = sum(size * longest for size, longest in counting.sizes)
    assert padded < 1.05 * used
    assert engine.compute(counting, []).shape == (0, 1)
    ids, mask = engine.pad([[3, 4], [5]], 9)
    assert ids.tolist() == [[3, 4], [5, 9]]
    assert mask.tolist() == [[True, True], [True, False]]

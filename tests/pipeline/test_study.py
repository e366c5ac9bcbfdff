"""A study of small rows: laid out, trained in processes, gone on with, failures told."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path

import pytest

from emrobust import clinic, config
from emrobust.errors import ConfigError, InputError
from emrobust.pipeline import study
from emrobust.pipeline.study import cells, plan
from emrobust.train import estimators

STUDY = """
title = "Two regularisations"
zh = "两种正则化"
base = "plain"
[[rows]]
key = "weak"
name = "weak"
settings = { model = { name = "tfidf", inverse_penalty = 100.0 } }
paper = { macro_f1 = [54.3, 0.5] }
[[rows]]
key = "strong"
name = "strong"
settings = { model = { name = "tfidf", inverse_penalty = 0.01 } }
[[rows]]
key = "wrong"
name = "wrong"
settings = { model = { name = "tfidf" }, train = { adversary = { name = "fgm" } } }
[[rows]]
key = "absent"
name = "absent"
checkpoint = "./no-such-folder"
[[tables]]
key = "1"
en = "Both"
zh = "两者"
measures = ["macro_f1"]
rows = ["weak", "strong", "wrong", "absent"]
"""


NAMES = """
title = "Names"
zh = "名称"
base = "plane"
[[encoders]]
key = "net"
name = "net"
[[arms]]
key = "plain"
name = "plain"
needs = ["tranlations"]
[[arms]]
key = "plain"
name = "the same again"
[[tables]]
key = "1"
en = "Names"
zh = "名称"
measures = ["macro_f2"]
rows = ["net-plan"]
arms = ["smooth"]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    clinic.generate(folder / "clinic", 400, 3, formats=("sqlite",))
    (folder / "two.toml").write_text(STUDY, encoding="utf-8")
    return folder


def run(made, *overrides: str, **size):
    sizes = study.Size(seeds=2, parallel=2, **size)
    project = made / "clinic" / clinic.PROJECT
    return study.run(str(made / "two.toml"), made / "out", project, overrides, sizes)


def test_cells_are_runs_that_share_a_split_and_are_trained_once(made, capsys):
    found = run(made)
    log = made / "out" / cells.LOGS / "weak-2.log"
    assert f"training weak-2, log: {log}\n" in capsys.readouterr().err
    weak, strong = (found.rows[key].scores["macro_f1"] for key in ("weak", "strong"))
    assert len(weak) == len(strong) == 2
    assert min(weak) > max(strong)
    assert set(found.rows["weak"].scores) == set(plan.MEASURES) - {"accuracy", "ece_top"}
    assert found.rows["absent"].missing.startswith("the checkpoint folder ./no-such-folder")
    assert sorted(found.failed) == ["wrong-1", "wrong-2"]
    assert "train.adversary" in found.failed["wrong-1"]
    folders = [made / "out" / cells.CELLS / name for name in ("weak-1", "weak-2")]
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in folders]
    assert manifests[0]["facts"]["data"] == manifests[1]["facts"]["data"]
    seeds = [manifest["facts"]["project"]["seed"] for manifest in manifests]
    assert seeds[1] == seeds[0] + 1
    text = (made / "out" / study.MARKDOWN).read_text(encoding="utf-8")
    assert "| 54.3 ± 0.5 |" in text
    assert "absent | not available" in text

    times = [(folder / "manifest.json").stat().st_mtime_ns for folder in folders]
    assert run(made, only=("weak",)).rows["weak"] == found.rows["weak"]
    assert [(folder / "manifest.json").stat().st_mtime_ns for folder in folders] == times

    other = run(made, "evaluate.bins=5", only=("weak",))
    assert not other.rows["weak"].scores
    assert "other settings or other data" in other.failed["weak-1"]
    assert [(folder / "manifest.json").stat().st_mtime_ns for folder in folders] == times


def test_a_damaged_cell_takes_no_other_from_the_page(made, tmp_path):
    shutil.copytree(made / "out", tmp_path / "out")
    thresholds = tmp_path / "out" / cells.CELLS / "strong-1" / "thresholds.json"
    thresholds.write_text("[]", encoding="utf-8")
    project = made / "clinic" / clinic.PROJECT
    size = study.Size(seeds=2, parallel=2, only=("weak", "strong"))
    found = study.run(str(made / "two.toml"), tmp_path / "out", project, (), size)
    assert len(found.rows["weak"].scores["macro_f1"]) == 2
    assert len(found.rows["strong"].scores["macro_f1"]) == 1
    assert "thresholds.json was changed" in found.failed["strong-1"]
    assert "thresholds.json was changed" in (tmp_path / "out" / study.MARKDOWN).read_text("utf-8")


def test_cross_validation_is_refused_before_anything_is_trained(made, tmp_path):
    with pytest.raises(ConfigError, match=r"`split\.folds` has no test split"):
        study.run("methods", tmp_path / "out", made / "clinic" / clinic.PROJECT, ["split.folds=3"])
    assert not (tmp_path / "out").exists()


def test_a_training_ends_with_the_study_that_started_it(made, tmp_path):
    project = config.load(made / "clinic" / clinic.PROJECT)
    cell = cells.Cell(plan.read(str(made / "two.toml"), project).rows[0], 0, project)
    process = cells._start(cell, tmp_path, 1)
    process.stdin.close()  # as when whoever holds it is killed
    assert process.wait(60) == -signal.SIGTERM


def test_the_papers_study_names_what_cannot_be_had(made, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    project = config.load(made / "clinic" / clinic.PROJECT)
    paper = plan.read("paper", project)
    assert "HF_HUB_OFFLINE" in paper.row("roberta-plain").missing
    assert "nothing is there to be left out" in paper.row("zh-small-no-back-translation").missing
    assert paper.row("zh-small-da-at").base == "zh-small-plain"
    laid, _ = cells.lay_out(paper, project, 5, {"train": {"epochs": 2}})
    assert len({cell.name for cell in laid}) == len(laid) == 5 * (3 + 9)
    assert {cell.project.train.epochs for cell in laid} == {2}
    both = next(cell.project for cell in laid if cell.name == "zh-small-da-at-1")
    assert both.train.loss is not None
    assert both.train.loss.name == "bce_focal"
    named = {cell.row.key: cell.project.train.adversary for cell in laid}
    assert named["zh-small-plain"].name == named["zh-small-da"].name == "none"
    assert named["zh-small-at"].name == named["zh-small-da-at"].name == "freelb"
    assert both.augment.probability > 0
    first = [cell.row.key for cell in laid if cell.seed == 0]
    assert [cell.row.key for cell in laid[: len(first)]] == first


def test_rows_that_no_table_names_are_shown_all_the_same(made, tmp_path):
    (tmp_path / "own.toml").write_text(
        'title = "a"\nzh = "甲"\nbase = "plain"\n[[rows]]\nkey = "tfidf"\nname = "TF-IDF"\n'
        '[[rows]]\nkey = "cnn"\nname = "TextCNN"\n[[tables]]\nkey = "1"\nen = "b"\nzh = "乙"\n'
        'measures = ["ece"]\nrows = ["cnn"]\n',
        encoding="utf-8",
    )
    project = config.load(made / "clinic" / clinic.PROJECT)
    whole = plan.read(str(tmp_path / "own.toml"), project)
    assert [table.rows for table in whole.tables] == [("cnn",), ("tfidf",)]
    part = plan.read(str(tmp_path / "own.toml"), project, ["tfidf"])
    assert [table.rows for table in part.tables] == [("tfidf",)]


def test_the_guides_example_is_a_study(made, tmp_path):
    guide = Path(__file__).parents[2] / "docs" / "study.md"
    code = re.compile(r"^```\n(title.*?)^```", re.MULTILINE | re.DOTALL)
    (example,) = code.findall(guide.read_text(encoding="utf-8"))
    (tmp_path / "own.toml").write_text(example, encoding="utf-8")
    own = plan.read(str(tmp_path / "own.toml"), config.load(made / "clinic" / clinic.PROJECT))
    assert [row.key for row in own.rows] == ["zh-small-plain", "zh-small-smooth"]
    assert own.tables[0].rows == ("zh-small-plain", "zh-small-smooth")


def test_the_shipped_studies_begin_with_plain_training(made):
    guide = Path(__file__).parents[2] / "docs" / "training.md"
    blocks = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
    (example,) = blocks.findall(guide.read_text(encoding="utf-8"))
    (made / "hardened.toml").write_text(example, encoding="utf-8")
    hardened = config.load(made / "hardened.toml")
    assert hardened.train.loss
    assert hardened.train.adversary
    assert hardened.augment.probability

    def recipe(study, key):
        found = plan.project_of(plan.read(study, hardened).row(key), hardened, 0, {})
        parts = estimators.components(found)
        adversary = parts.get("train.adversary", {"name": "none"})["name"]
        return parts["train.loss"]["name"], adversary, found.augment.probability

    for encoder in ("zh-small", "textcnn"):
        assert recipe("methods", f"{encoder}-plain") == ("bce", "none", 0.0)
        assert recipe("methods", f"{encoder}-focal") == ("bce_focal", "none", 0.0)
        assert recipe("methods", f"{encoder}-at-bce") == ("bce", "freelb", 0.0)
    assert recipe("paper", "zh-small-da") == ("bce_focal", "none", 0.5)
    tfidf = plan.project_of(plan.read("paper", hardened).row("tfidf"), hardened, 0, {})
    assert estimators.adversary(tfidf) is None
    own = plan.Row(key="a", name="a", settings={})
    assert plan.project_of(own, hardened, 0, {}).augment.probability


def test_the_projects_own_model_holds_where_a_row_names_none(made):
    overrides = ["model={name='textcnn', width=32}"]
    project = config.load(made / "clinic" / clinic.PROJECT, overrides)

    def model(**settings):
        row = plan.Row(key="a", name="a", settings=settings)
        return plan.project_of(row, project, 0, {}).model.model_dump()

    assert model(train={"epochs": 2}) == {"name": "textcnn", "width": 32}
    assert model(model={"width": 16}) == {"name": "textcnn", "width": 16}
    assert model(model={"name": "bilstm"}) == {"name": "bilstm"}


def test_what_is_refused(made, tmp_path):
    project = config.load(made / "clinic" / clinic.PROJECT)
    with pytest.raises(ConfigError, match="Did you mean `paper`"):
        plan.read("papers", project)
    with pytest.raises(ConfigError, match="no row 'weka'"):
        plan.read(str(made / "two.toml"), project, ["weka"])
    (tmp_path / "bad.toml").write_text("title = 1\nrow = []")
    with pytest.raises(ConfigError, match="is no study"):
        plan.read(str(tmp_path / "bad.toml"), project)
    (tmp_path / "names.toml").write_text(NAMES, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        plan.read(str(tmp_path / "names.toml"), project)
    told = caught.value.message
    assert "7 problem(s)" in told
    for problem in (
        "`base`: there is no arm 'plane'. Did you mean `plain`?",
        "`arms`: the key 'plain' is there twice",
        "`rows`: the key 'net-plain' is there twice",
        "`arms.plain.needs`: there is no key of [augment] 'tranlations'. Did you mean `transl",
        "`tables.1.measures`: there is no measure 'macro_f2'. Did you mean `macro_f1`?",
        "`tables.1.rows`: there is no row 'net-plan'. Did you mean `net-plain`?",
        "`tables.1.arms`: there is no arm 'smooth'",
    ):
        assert problem in told
    with pytest.raises(InputError, match="two seeds"):
        study.run("paper", tmp_path / "out", size=study.Size(seeds=1))
    with pytest.raises(ConfigError, match=r"`evaluate\.bootstrap` is 0"):
        study.run(
            "paper", tmp_path / "out", made / "clinic" / clinic.PROJECT, ["evaluate.bootstrap=0"]
        )
    assert not (tmp_path / "out").exists()

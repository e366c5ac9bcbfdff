"""``emrobust attack`` end to end: files, resuming, privacy, and what a user may do wrong."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import resources

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust import clinic, config, records
from emrobust.attack import log
from emrobust.cli.attack import _goal
from emrobust.errors import ConfigError, InputError, RunError
from emrobust.evaluate import suites
from emrobust.perturb import Edit
from emrobust.perturb.edits import join
from emrobust.pipeline import attack, evaluate
from emrobust.pipeline.prepare import LABELS, SUITES, prepare
from emrobust.pipeline.train import train
from emrobust.report import attack_page


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked")
    clinic.generate(folder / "hospital", 1_200, 5, workers=1, formats=("sqlite",))
    project = config.load(folder / "hospital" / clinic.PROJECT, ["evaluate.bootstrap=100"])
    prepare(project, folder / "data")
    train(project, folder / "run", folder / "data")
    return folder


def wishes(**more):
    return attack.Wishes(
        ("zh_homophone_glyph",), {"name": "label_dropped"}, records=30, budget=60, **more
    )


def test_an_attack_writes_its_figures_and_marks_the_changes(run, tmp_path):
    measured = attack.attack(run / "run", tmp_path, wishes(), run / "data")["zh_homophone_glyph"]
    told = json.loads((tmp_path / attack.JSON).read_text(encoding="utf-8"))
    (of,) = told["attacks"]
    assert of["successes"] + of["failures"] + of["skipped"] == told["records"] == 30
    assert of["successes"] == measured.successes >= 3
    low, high = of["success_rate"]["interval"]
    assert low <= of["success_rate"]["value"] <= high
    assert of["accuracy_under_attack"]["value"] <= of["accuracy"]["value"]
    assert of["scores"]["suite"]["macro_f1"] < of["scores"]["standard"]["macro_f1"]
    assert 1 < of["queries"] <= of["most_queries"] <= 60
    assert 0 < of["characters"] <= 0.2
    assert of["held_out"] is True
    page = (tmp_path / attack.HTML).read_text(encoding="utf-8")
    changes = sum(len(one["edits"]) for one in of["examples"])
    assert page.count("<del>") == page.count("<ins>") == changes >= 3
    assert (tmp_path / attack.HTML).stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob("*.attack"))
    english = attack_page.render(told, "<b>", "en")
    assert "&lt;b&gt;" in english
    assert "Success rate" in english


def test_without_examples_no_character_of_a_record_is_written(run, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(
        attack, "_write", lambda *_: kept.extend(tmp_path.glob("*.attack")) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        attack.attack(run / "run", tmp_path, wishes(examples=0), run / "data")
    assert not re.search(r"[\u4e00-\u9fff]", kept[0].read_text(encoding="utf-8").partition("\n")[2])
    monkeypatch.undo()
    attack.attack(run / "run", tmp_path, wishes(examples=0), run / "data")
    (of,) = json.loads((tmp_path / attack.JSON).read_text(encoding="utf-8"))["attacks"]
    assert of["examples"] == []
    assert "<ins>" not in (tmp_path / attack.HTML).read_text(encoding="utf-8")


def test_a_stopped_attack_goes_on_and_ends_the_same(run, tmp_path, monkeypatch):
    attack.attack(run / "run", tmp_path / "whole", wishes(), run / "data")
    write = log.Writer.write
    written = []

    def stop(self, value):
        if len(written) == 12:
            self._file.write('{"record_id": "torn')
            self._file.flush()
            raise KeyboardInterrupt
        written.append(value)
        write(self, value)

    monkeypatch.setattr(log.Writer, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        attack.attack(run / "run", tmp_path / "stopped", wishes(), run / "data")
    with pytest.raises(RunError, match="other settings"):
        attack.attack(run / "run", tmp_path / "stopped", wishes()._replace(budget=50), run / "data")
    monkeypatch.setattr(log.Writer, "write", lambda *of: written.append(of[1]) or write(*of))
    attack.attack(run / "run", tmp_path / "stopped", wishes(), run / "data")
    ids = [of["record_id"] for of in written if "record_id" in of]
    assert len(ids) == len(set(ids)) == 30
    first, second = (
        (tmp_path / name / attack.JSON).read_text(encoding="utf-8") for name in ("whole", "stopped")
    )
    assert first == second


def test_what_cannot_be_attacked_is_said_before_anything_long(run, tmp_path):
    def refuse(error, match, data=run / "data", **more):
        with pytest.raises(error, match=match):
            attack.attack(run / "run", tmp_path, wishes()._replace(**more), data)

    refuse(ConfigError, "query budget of 0", budget=0)
    refuse(ConfigError, "zh_homophone_glyph", recipes=("zh_homophone",))
    refuse(ConfigError, "single-label models", goal={"name": "untargeted"})
    refuse(ConfigError, "there is no search", search={"name": "greed"})
    refuse(InputError, "other records", data=tmp_path)
    with pytest.raises(ConfigError, match="belong together"):
        _goal("targeted", "")
    assert not list(tmp_path.iterdir())


def test_a_recipe_of_ones_own_brings_its_constraints_and_search(run, tmp_path):
    file = tmp_path / "own.toml"
    own = """
[near]
about = "few characters, by a beam"
language = "zh"
transformations = [{ name = "homophone" }]
constraints = [{ name = "edit_budget", characters = 0.05 }, { name = "guards" }]
search = { name = "beam", width = 2 }
"""
    file.write_text(own, encoding="utf-8")
    wished = wishes()._replace(recipes=(str(file), "zh_abbreviation"))
    measured = attack.attack(run / "run", tmp_path / "out", wished, run / "data")
    assert list(measured) == ["near", "zh_abbreviation"]
    told, _ = json.loads((tmp_path / "out" / attack.JSON).read_text("utf-8"))["attacks"]
    assert told["search"] == {"name": "beam", "width": 2}
    assert told["constraints"][0] == {"name": "edit_budget", "characters": 0.05}
    assert "near" in (tmp_path / "out" / attack.HTML).read_text("utf-8")
    for content, says in (
        (own.replace('language = "zh"', ""), "`near.language`"),
        (own.replace("[near]", '["../near"]'), "no name of a recipe"),
        (own.replace("[near]", "[near"), "cannot be read"),
        (own.replace("[near]", "[zh_abbreviation]"), "two recipes are called 'zh_abbreviation'"),
        (own.replace("characters", "letters"), "letters"),
        ("", "holds no recipe"),
    ):
        other = tmp_path / "wrong.toml"
        other.write_text(content, encoding="utf-8")
        wrong = wished._replace(recipes=(str(other), "zh_abbreviation"))
        with pytest.raises(ConfigError, match=re.escape(says)):
            attack.attack(run / "run", tmp_path / "none", wrong, run / "data")


def test_attacked_texts_become_a_suite_for_other_models(run, tmp_path):
    done = attack.attack(run / "run", tmp_path, wishes(examples=0, suite=True), run / "data")
    path = run / "data" / SUITES / suites.ATTACK / "run-zh_homophone_glyph.parquet"
    assert path.stat().st_mode & 0o077 == 0
    original = records.read(run / "data" / LABELS / records.FILE)
    before = dict(zip(original["record_id"].to_pylist(), records.join_text(original), strict=True))
    attacked = records.read(path)
    after = dict(zip(attacked["record_id"].to_pylist(), records.join_text(attacked), strict=True))
    changed = [key for key, text in after.items() if text != before[key]]
    assert len(after) == 30
    assert len(changed) == done["zh_homophone_glyph"].successes
    evaluate.evaluate(run / "run", tmp_path, run / "data")
    found = json.loads((tmp_path / evaluate.METRICS).read_text(encoding="utf-8"))["evidence"]
    of_suite = found["suites"][f"attack-{path.stem}"]
    scores = done["zh_homophone_glyph"].scores
    assert of_suite["suite"]["macro_f1"] == pytest.approx(scores.suite["macro_f1"])
    page = (tmp_path / evaluate.REPORT).read_text(encoding="utf-8")
    assert 'id="attacks"' in page


@given(texts=st.lists(st.text("咳嗽 a，", max_size=6), min_size=3, max_size=3), data=st.data())
def test_edits_of_the_joined_text_reach_their_fields(texts, data):
    schema = records.schema(["a", "b", "c"], separator="｜")
    columns = {f"text_{name}": [text] for name, text in zip("abc", texts, strict=True)}
    table = pa.table(
        {field.name: columns.get(field.name, [None]) for field in schema}, schema=schema
    )
    (joined,) = records.join_text(table)
    places = [at for at, character in enumerate(joined) if character not in "｜ "]
    chosen = sorted(data.draw(st.sets(st.sampled_from(places)))) if places else []
    edits = [Edit(at, at + 1, "肺x") for at in chosen]
    assert records.join_text(suites.edit(table, [edits])) == [join(joined, edits)]


def test_only_what_training_never_writes_is_called_held_out():
    def held_out(recipe):
        made = attack.attacks.compose(attack.attacks.find(recipe), {"name": "label_dropped"})
        return all(of.held_out for of in made.transformations)

    # Measures (2天 and 2d) have one table for training and for tests.
    assert {name: held_out(name) for name in attack.attacks.recipes()} == {
        "zh_homophone_glyph": True,
        "zh_abbreviation": False,
        "zh_colloquial": True,
        "zh_combined": False,
        "en_typo": False,
        "en_synonym": True,
    }


def test_both_languages_have_the_page_s_words():
    room = resources.files("emrobust.report")
    table = tomllib.loads((room / attack_page.STRINGS).read_text(encoding="utf-8"))
    assert set(table["zh"]) == set(table["en"])
    page = (room / "templates" / "attack.html.j2").read_text(encoding="utf-8")
    code = (room / "attack_page.py").read_text(encoding="utf-8")
    used = set(re.findall(r"\bw\('(\w+)'[,)]", page))
    used |= set(re.findall(r"""\bw\(\s*"(\w+)"[,)]""", code))
    assert len(used) > 25
    assert used <= set(table["zh"])
    for name in attack.attacks.recipes():
        assert f"recipe_{name}" in table["zh"]
    for key, text in table["zh"].items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", table["en"][key])), key

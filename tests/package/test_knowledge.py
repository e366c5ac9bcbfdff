"""What a package tells beside the model is true, and is never about few people."""

from __future__ import annotations

import json

import numpy as np
import pytest

from emrobust import package, runs
from emrobust.errors import ConfigError, InputError
from emrobust.evaluate.calibration import choose_cut
from emrobust.evaluate.predictions import gather
from emrobust.package import drift, knowledge, layout, lessons
from emrobust.pipeline.export import export

NOTES = ["咳嗽3天，胸痛，口服阿莫西林每日三次，输液。辅助检查未做。", "皮疹伴皮肤瘙痒2天。"]
TITLES = {"lung": (), "skin": ("皮疹",)}


def taught(rows=60, patients=None):
    """Every second record of another label and department; a patient a record."""
    return lessons.Taught(
        texts=[NOTES[row % 2] for row in range(rows)],
        labels=[["lung"] if row % 2 == 0 else ["skin"] for row in range(rows)],
        patients=[f"p{row if patients is None else row % patients}" for row in range(rows)],
        departments=[("呼吸科", None, "呼吸科", "皮肤科")[row % 4] for row in range(rows)],
        record_ids=[f"r{row}" for row in range(rows)],
    )


def test_findings_and_departments_of_few_patients_are_left_out(tmp_path):
    names = ("lung", "skin")
    found = lessons.find_typical(taught(), TITLES, 10, 0, "zh")
    assert {of["term"] for of in found["lung"]} >= {"咳嗽", "胸痛"}
    assert "咳嗽" not in {of["term"] for of in found["skin"]}
    assert "辅助检查" not in {of["term"] for of in found["lung"]}, "no finding, but a heading"
    done = {"口服", "po", "阿莫西林", "输液", "每日三次"}
    assert not done & {of["term"] for of in found["lung"]}, "what was done is no finding"
    assert {of["term"] for of in found["skin"]} == {"皮肤瘙痒"}, "nor is the diagnosis of itself"
    seen = lessons.count_departments(taught(), names, 10)
    assert seen["departments"] == ["呼吸科", "皮肤科"]
    assert seen["labels"] == {"lung": {"呼吸科": 1.0}, "skin": {"皮肤科": 1.0}}
    few = taught(patients=8)  # as many records, of four patients a label
    assert lessons.find_typical(few, TITLES, 10, 0, "zh") == {"lung": [], "skin": []}
    assert lessons.count_departments(few, names, 10)["labels"] == {}
    runs.write_json(tmp_path / layout.DEPARTMENTS, seen)
    departments = knowledge.read_departments(tmp_path, names)
    given = np.array([[0.9, 0.1], [0, 0]])
    np.testing.assert_allclose(departments.refer(given), given)


def test_what_is_denied_is_missing_too():
    findings = [{"term": "咳嗽", "share": 0.9}, {"term": "胸痛", "share": 0.5}]
    found = knowledge.find_missing(findings, "否认咳嗽，乏力。", 5)
    assert [(of.term, of.state) for of in found] == [("咳嗽", "denied"), ("胸痛", "absent")]
    assert not knowledge.find_missing(findings, "咳嗽，胸痛。", 5)


def test_similar_cases_share_what_they_say():
    cases = knowledge.Cases(NOTES, [["lung"], ["skin"]], "zh")
    first, *others = cases.similar("咳嗽，胸痛1天", 5)
    assert first.labels == ("lung",)
    assert 0 < first.similarity <= 1
    assert all(first.similarity > of.similarity for of in others)
    assert not cases.similar("", 5)


def test_records_are_shown_only_where_the_project_says_so(runs_of, project, prepared, tmp_path):
    run = runs_of("tfidf").folder
    with pytest.raises(ConfigError, match="governance.cases"):
        export(run, tmp_path / "refused", cases=5)
    assert not (tmp_path / "refused").exists()
    allowed = runs_of("tfidf").project.model_copy(
        update={"governance": project("tfidf", governance={"cases": "permitted"}).governance}
    )
    shown = taught()
    lessons.write(tmp_path, allowed, TITLES, shown, least=10, cases=4)
    lines = (tmp_path / layout.CASES).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert sorted(row["labels"] for row in rows) == [["lung"], ["lung"], ["skin"], ["skin"]]


def test_a_package_knows_what_its_records_were_like(packages, easy):
    made = packages("textcnn")
    loaded = package.load(made.folder)
    assert not [note for note in made.notes if "drift" in note]
    assert set(loaded.drift.features) == {"length", "digits", "latin", "confidence", "unknown"}
    assert loaded.missing("heart", "皮疹")
    assert not loaded.missing("heart", "".join(easy(700)[0]))
    texts = easy(300, 5)[0]
    own = loaded.predict_proba(texts)
    described = loaded.drift.describe(texts, own)
    for name, space in loaded.drift.spaces.items():
        np.testing.assert_allclose((described.vectors[name] ** 2).sum(1), 1, atol=1e-6)
        shift = ((described.vectors[name].mean(0) - space.mean) ** 2).sum()
        scaled = shift / (1 / len(texts) + 1 / loaded.drift.rows)
        assert (space.null >= scaled).mean() > 1e-3, name  # nothing has changed
        other = loaded.drift.describe(["fever 39.5 since 2 days"] * 300, own[::-1] * 0 + 0.5)
        assert ((other.vectors[name].mean(0) - space.mean) ** 2).sum() > 5 * shift
    answered = ~loaded.abstain(loaded.calibrate(own), loaded.decide(own))
    assert 0.8 < answered.mean() < 1


def test_the_cut_keeps_the_risk_or_says_that_it_cannot():
    random = np.random.default_rng(0)
    p = random.uniform(0.5, 1, 3000)
    truth = (random.random(3000) < p).astype(int)
    given = gather(truth[:, None], p[:, None], 0.5, ["a"], np.arange(3000))
    assert choose_cut(given).coverage == 0.9
    strict = choose_cut(given, 0.1)
    assert strict.risk < strict.bound <= 0.1
    assert strict.coverage == 0.2  # surest fifth: p from 0.9 on
    with pytest.raises(InputError, match=r"evaluate\.risk"):
        choose_cut(given, 0.001)
    assert drift.Histogram.of(np.zeros(50)).counts.tolist() == [50, 0]

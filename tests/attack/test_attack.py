"""What every attack must keep: the guards, its budgets, its count, and its seed."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emrobust import attack, perturb, registry
from emrobust.attack.constraints.edit_budget import EditBudget, count_changed
from emrobust.attack.constraints.similarity import cosine
from emrobust.attack.goal import Case
from emrobust.attack.int8 import Int8Reader
from emrobust.attack.reader import Reader
from emrobust.errors import ConfigError, ModelError
from emrobust.onnx import probe
from emrobust.perturb import Edit

ZH = ["zh_homophone_glyph", "zh_abbreviation", "zh_colloquial", "zh_combined"]
SEARCHES = ({"name": "greedy"}, {"name": "beam", "width": 2}, {"name": "random", "texts": 40})


class Counted:
    """A victim that notes every text it is asked about."""

    def __init__(self, victim):
        self.victim = victim
        self.asked = []

    def __getattr__(self, name):
        return getattr(self.victim, name)

    def quick(self, groups):
        self.asked += [text for group in groups for text in group]
        return self.victim.quick(groups)


def make(recipe="zh_combined", goal="label_dropped", **more):
    return attack.compose(attack.find(recipe), {"name": goal}, **more)


def plain(outcomes):
    """Outcomes that can be compared, in the records' order."""
    return sorted((o.record_id, o.state, o.queries, o.edits, o.after.tolist()) for o in outcomes)


@pytest.mark.parametrize("recipe", ZH)
def test_an_attacked_text_keeps_the_guards_and_every_constraint(recipe, multi, subjects):
    made, subjects = make(recipe), subjects[:30]
    texts = {subject.record_id: subject.text for subject in subjects}
    outcomes = list(attack.run(made, multi, subjects, seed=1))
    assert {o.record_id for o in outcomes} == set(texts)
    for outcome in outcomes:
        if outcome.state == "success":
            text = texts[outcome.record_id]
            edited = perturb.apply(text, outcome.edits)
            assert edited != text
            assert perturb.permits(text, outcome.edits)
            trial = attack.attempt.make_trial(text, outcome.edits)
            assert trial.edited == edited
            assert all(of.allows([trial])[0] for of in made.constraints)


@pytest.mark.parametrize("search", SEARCHES, ids=lambda of: of["name"])
def test_a_success_is_what_the_model_says_itself(search, multi, subjects):
    found = 0
    texts = {subject.record_id: subject for subject in subjects}
    for outcome in attack.run(make(search=search), multi, subjects, seed=1):
        subject = texts[outcome.record_id]
        first, then = multi.exact([subject.text, perturb.apply(subject.text, outcome.edits)])
        lost = subject.truth & multi.decide(first) & ~multi.decide(then)
        assert lost.any() == (outcome.state == "success")
        assert np.allclose(outcome.after, then)
        found += outcome.state == "success"
    assert found >= 5


@given(budget=st.integers(2, 40), which=st.integers(0, 59), search=st.sampled_from(SEARCHES))
@settings(max_examples=20, deadline=None)
def test_queries_are_the_different_texts_asked_and_never_more_than_the_budget(
    multi, subjects, budget, which, search
):
    counted = Counted(multi)
    made = make(search=search, budget=budget)
    (outcome,) = attack.run(made, counted, [subjects[which]])
    assert outcome.queries == 1 + len(counted.asked)  # the original is asked exactly, once
    assert len(set(counted.asked)) == len(counted.asked)
    assert subjects[which].text not in counted.asked
    assert outcome.queries <= budget


@pytest.mark.parametrize("search", SEARCHES, ids=lambda of: of["name"])
def test_a_record_s_outcome_hangs_on_the_seed_and_on_no_other_record(search, multi, subjects):
    made, subjects = make(search=search), subjects[:20]
    together = plain(attack.run(made, multi, subjects, seed=3))
    assert plain(attack.run(made, multi, reversed(subjects), seed=3, pool=7)) == together
    alone = [of for subject in subjects for of in attack.run(made, multi, [subject], seed=3)]
    assert plain(alone) == together
    if search["name"] == "random":
        assert plain(attack.run(made, multi, subjects, seed=4)) != together


@pytest.mark.parametrize("reader", [Int8Reader, Reader])
def test_a_network_s_outcomes_do_not_depend_on_its_companions(bert, easy, monkeypatch, reader):
    from emrobust.train import NeuralClassifier

    if reader is Reader:  # as on a processor that computes int8 badly
        monkeypatch.setattr(probe, "INT8_LARGEST", 0.0)
    texts, names, _ = easy(120)
    model = NeuralClassifier(
        "transformer", {"checkpoint": str(bert)}, epochs=3, learning_rate=3e-3, max_length=32
    ).fit(texts, names)
    order = [list(model.classes_).index(name) for name in names]
    subjects = [
        attack.Subject(str(row), text, np.eye(4, dtype=bool)[order[row]])
        for row, text in enumerate(texts[:40])
    ]
    made = make("zh_homophone_glyph", "untargeted", budget=60)
    victim = attack.Victim(model)
    assert type(victim.reader) is reader
    # The probabilities that are told are the model's own, whose last bits hang on the batch.
    together = [of[:4] for of in plain(attack.run(made, victim, subjects))]
    apart = plain(attack.run(made, victim, reversed(subjects), pool=5))
    assert [of[:4] for of in apart] == together
    assert {of[1] for of in together} >= {"success"}
    (quick,) = victim.quick([texts])
    assert np.abs(quick - model.predict_proba(texts)).max() < 0.02
    assert [len(of) for of in victim.quick([[], texts[:2], []])] == [0, 2, 0]


def test_a_search_beats_random_choice(multi, subjects):
    def successes(search, budget):
        outcomes = attack.run(
            make("zh_homophone_glyph", search=search, budget=budget), multi, subjects
        )
        return sum(of.state == "success" for of in outcomes)

    greedy = successes({"name": "greedy"}, 60)
    assert greedy > successes({"name": "random"}, 60)
    assert successes({"name": "beam", "width": 4}, 400) >= greedy


CASE = Case(
    ("a", "b", "c"),
    np.array([True, True, False]),
    np.array([0.9, 0.4, 0.2]),
    np.array([True, False, False]),
    np.array([0.5, 0.5, 0.5]),
)


@pytest.mark.parametrize(
    ("goal", "near", "there"),
    [
        ("label_dropped", [0.6, 0.0, 0.0], [0.4, 0.9, 0.2]),
        ("label_added", [0.9, 0.9, 0.4], [0.9, 0.4, 0.5]),
        ("set_changed", [0.6, 0.9, 0.4], [0.9, 0.4, 0.6]),
        ("confidence_lowered", [0.5, 0.2, 0.9], [0.3, 0.3, 0.0]),
    ],
)
def test_goals_of_several_labels(goal, near, there):
    made = registry.get("goal", goal)()
    answers = np.array([CASE.probability, near, there])
    assert made.attackable(CASE)
    assert made.reached(CASE, answers).tolist() == [False, False, True]
    scores = made.score(CASE, answers)
    assert scores[0] < scores[1] < scores[2]


def test_goals_of_one_label(single, subjects):
    case = CASE._replace(truth=np.array([True, False, False]), thresholds=None)
    answers = np.array([[0.6, 0.3, 0.1], [0.4, 0.5, 0.1], [0.2, 0.3, 0.5]])
    untargeted = registry.get("goal", "untargeted")()
    assert untargeted.reached(case, answers).tolist() == [False, True, True]
    targeted = registry.get("goal", "targeted")(label="c")
    assert targeted.reached(case, answers).tolist() == [False, False, True]
    assert targeted.score(case, answers).argmax() == 2
    with pytest.raises(ConfigError, match="not one of the model's"):
        registry.get("goal", "targeted")(label="d").attackable(case)
    made = make("zh_homophone_glyph", "untargeted")
    wrong = sum(of.state == "success" for of in attack.run(made, single, subjects))
    assert wrong >= 5


@given(st.text("无发热咳嗽ab，", min_size=1, max_size=20), st.data())
def test_changed_characters_are_at_most_those_of_the_edit(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start, len(text)))
    new = data.draw(st.text("热咳x", max_size=4))
    edits = (Edit(start, end, new),)
    size = count_changed(text, edits)
    assert 0 <= size <= max(end - start, len(new))
    assert (size == 0) == (perturb.apply(text, edits) == text)
    assert cosine(text, text, 2) == pytest.approx(1.0)
    assert 0.0 <= cosine(text, perturb.apply(text, edits), 2) <= 1.0


def test_short_texts_may_have_one_edit():
    trial = attack.attempt.make_trial("咳嗽", (Edit(0, 1, "刻"),))
    twice = attack.attempt.make_trial("咳嗽", (Edit(0, 1, "刻"), Edit(1, 2, "数")))
    for budget in (EditBudget(characters=0.1), EditBudget(words=0.1), EditBudget(edits=1)):
        assert budget.allows([trial, twice]) == [True, False]


def test_the_encoder_s_similarity_refuses_other_texts(random_encoder, tmp_path):
    folder = random_encoder(tmp_path / "encoder")
    made = registry.get("constraint", "encoder_similarity")(checkpoint=str(folder), minimum=0.999)
    text = "患者今日来诊咳嗽流涕"
    same = attack.attempt.make_trial(text, ())
    other = attack.attempt.make_trial(text, (Edit(0, 8, "腹痛腹泻"),))
    assert made.allows([same, other]) == [True, False]


def test_english_recipes_change_english_texts():
    text = "Patient with headache and shortness of breath, denies chest pain. BP 120/80."
    for recipe in ("en_typo", "en_synonym"):
        made = make(recipe)
        units = made.units(text, Random(0))  # noqa: S311 - no secret
        assert units
        assert all("120" not in text[u.start : u.end] for u in units if recipe == "en_typo")
        assert all(u.start <= e.start <= e.end <= u.end for u in units for e in u.edits)


def test_ranking_leaves_queries_to_try_changes_with(multi, subjects):
    long = [attack.Subject(of.record_id, of.text * 6, of.truth) for of in subjects[:12]]
    done = list(attack.run(make("zh_homophone_glyph", budget=12), multi, long))
    assert any(of.state != "skipped" for of in done)
    assert all(of.tried and of.queries <= 12 for of in done)


def test_a_text_that_nothing_may_be_changed_in_was_put_to_no_test(multi, subjects):
    done = list(attack.run(make("en_synonym"), multi, subjects[:12]))
    assert {(of.state, of.queries, of.tried) for of in done} == {("failure", 1, False)}


def test_parts_and_recipes_agree_with_their_tables():
    for name, recipe in attack.recipes().items():
        assert name.startswith(recipe.language)
        assert make(name).transformations
    for kind in ("goal", "search", "constraint", "transformation"):
        assert registry.names(kind)
        assert registry.kind(f"{kind}es" if kind == "search" else f"{kind}s") == kind


def test_what_cannot_be_attacked_is_said_clearly(single, subjects):
    with pytest.raises(ConfigError, match="query budget of 0"):
        make(budget=0)
    with pytest.raises(ConfigError, match="zh_combined"):
        attack.find("zh_combine")
    assert list(attack.select(["zh_combined", "zh_combined"])) == ["zh_combined"]
    with pytest.raises(ConfigError, match="multi-label models"):
        list(attack.run(make(goal="label_dropped"), single, subjects))
    with pytest.raises(ModelError, match="predict_proba"):
        attack.Victim(object())
    with pytest.raises(ConfigError, match="table is empty"):
        registry.get("transformation", "perturbation")(
            of="synonym", settings={"types": (), "use": "test"}
        )
    assert list(attack.run(make(goal="untargeted"), single, [])) == []

"""What has changed is found, what has not is left in peace, and few records say nothing."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pytest

from emrobust.package.drift import Histogram
from emrobust.serve.monitor import calibration, drift, rates
from emrobust.serve.monitor.alarms import Alarms, Check, load_words
from emrobust.serve.monitor.ledger import Ledger
from emrobust.serve.monitor.level import Limits, judge
from emrobust.serve.store import Prediction
from emrobust.serve.store.entries import new_id

LATELY = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
PSI = Limits(0.1, 0.25)


def test_psi_is_as_large_as_chance_makes_it_and_no_larger():
    random = np.random.default_rng(0)
    p, alarms, old_rule = [], 0, 0
    for _ in range(400):
        reference = Histogram.of(random.normal(size=400))
        size, chance, _ = drift.compare_counts(reference.count(random.normal(size=100)), reference)
        p.append(chance)
        alarms += judge(size, chance, PSI) == "alarm"
        old_rule += size >= 0.1
    # Half a count in every bin makes it cautious; the bands alone would ring every other day.
    assert 0.02 < np.mean(np.array(p) < 0.1) < 0.13
    assert alarms <= 2
    assert old_rule > 100
    moved = reference.count(random.normal(0.8, size=400))
    size, chance, _ = drift.compare_counts(moved, reference)
    assert judge(size, chance, PSI) == "alarm"


def test_a_label_that_doubles_is_an_alarm_and_a_rare_one_is_not_yet():
    counts = {"a": 300, "b": 100, "c": 3}
    expected = {"a": 0.14, "b": 0.1, "c": 0.001}
    found = {of.name: of for of in rates.compare(counts, 1000, expected, 1000)}
    assert found["a"].level == "alarm"
    assert found["b"].level == "calm"
    assert found["c"].level == "calm"
    assert found["a"].low < 0.3 < found["a"].high


def test_calibration_is_read_from_feedback(store, fill):
    fill(400)
    fill(400, true=lambda p: p * 0.6, model="bold@1")
    calm = calibration.assess(calibration.read(store.database, "m@1", LATELY))
    assert calm.level == "calm"
    assert calm.ratio_interval[0] < 1 < calm.ratio_interval[1]
    off = calibration.assess(calibration.read(store.database, "bold@1", LATELY))
    assert off.level == "alarm"
    assert off.ratio_interval[1] < 0.8
    assert off.ece > calm.ece_interval[0]


def test_the_ledger_counts_what_the_store_has_and_nothing_twice(store, fill):
    ledger = Ledger(store.database)
    for rows in (30, 40):
        fill(rows, seed=rows, answered=0.5)
        while ledger.follow():
            pass
        ledger.follow()
    tally = ledger.since("m@1", LATELY)
    assert tally.requests == 70
    chosen = [json.loads(row["result"])["chosen"] for row in store.predictions()]
    assert tally.labels["x"] == sum(of == ["x"] for of in chosen)
    assert len(tally.answered) == len(store.feedback())
    assert tally.quantile(0.5) == pytest.approx(0.01, rel=0.11)
    again = Ledger(store.database)
    while again.follow():
        pass
    assert again.since("m@1", LATELY).labels == tally.labels
    assert [of.requests for _, of in again.minutes("m@1")] == [
        of.requests for _, of in ledger.minutes("m@1")
    ]


def test_a_shadow_is_held_against_what_was_shown(store):
    shown = [
        {"probabilities": {"x": 0.9, "y": 0.2}, "chosen": ("x",)},
        {"probabilities": {"x": 0.4, "y": 0.3}, "abstained": True},
    ]
    hidden = [
        {"probabilities": {"x": 0.8, "y": 0.7}, "chosen": ("y", "x")},  # the same first
        {"probabilities": {"x": 0.1, "y": 0.3}, "abstained": True},  # the same decision
    ]
    for told, silent in zip(shown, hidden, strict=True):
        one = Prediction(actor="a", task="diagnose", model="m@1", **told)
        other = Prediction(actor="a", task="diagnose", model="m@2", beside=one.id, **silent)
        lost = Prediction(actor="a", task="diagnose", model="m@2", beside=new_id(), **silent)
        for entry in (one, other, lost):
            store.record(entry)
    ledger = Ledger(store.database)
    while ledger.follow():
        pass
    tally = ledger.since("m@2", LATELY)
    assert (tally.beside, tally.same_first, tally.same, tally.notes) == (2, 1, 1, 0)
    assert ledger.since("m@1", LATELY).beside == 0


def test_alarms_rise_at_once_fall_slowly_and_are_told_to_the_log(store):
    alarms = Alarms(store.database)
    on = [Check("labels", "alarm", 0.3, 0.1), Check("latency", "calm")]
    off = [Check("labels", "calm", 0.1, 0.1), Check("latency", "calm")]
    assert [of.name for of in alarms.update("m@1", on)] == ["labels"]
    since = alarms.read("m@1")[0].since
    assert Alarms(store.database).update("m@1", [Check("labels", "unknown")])[0].since == since
    for expected in (1, 1, 0):
        assert len(alarms.update("m@1", off)) == expected
    told = [row["action"] for row in store.audit() if row["actor"] == "monitor"]
    assert told == ["monitor alarm", "monitor calm"]
    assert not alarms.read("other@1")


def test_every_check_has_its_words():
    inputs = ("length", "digits", "latin", "unknown", "confidence", "text", "output")
    others = ("labels", "calibration", "abstention", "feedback", "latency", "data_use")
    words = load_words()
    assert set(words) == {*(f"input.{name}" for name in inputs), *others}
    assert all({*of.title} == {*of.advice} == {"zh", "en"} for of in words.values())

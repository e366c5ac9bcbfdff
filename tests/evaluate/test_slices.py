import json

import numpy as np
import pyarrow as pa
import pytest

from emrobust import config, records
from emrobust.errors import InputError
from emrobust.evaluate import gather
from emrobust.evaluate.slices import aspects_of, discover, measure_buckets, measure_groups

SETTINGS = config.Evaluate(bootstrap=200)
LABELS = ["高血压", "糖尿病", "胃炎", "未见"]


def scene(n=1600, seed=0, failing=True):
    """Records whose labels are mostly wrong where the text has 头晕 and the sex is M."""
    stream = np.random.default_rng(seed)
    truth = (stream.random((n, 4)) < [0.5, 0.4, 0.3, 0.0]).astype(np.uint8)
    sex = stream.choice(["M", "F"], n)
    dizzy = stream.random(n) < 0.4
    wrong = np.where((sex == "M") & dizzy & failing, 0.6, 0.05)
    said = np.where(stream.random((n, 4)) < wrong[:, None], 1 - truth, truth) * 0.8 + 0.1
    said[:, 3] = 0.1
    longer = stream.integers(0, 30, n)
    texts = [
        ("反复头晕。" if one else "反复咳嗽。") + "无" * m
        for one, m in zip(dizzy, longer, strict=True)
    ]
    age = stream.integers(0, 95, n)
    return gather(truth, said, None, LABELS, np.arange(n) // 2), sex, age, texts


def table(sex, age, texts):
    rows = len(texts)
    schema = records.schema(["note"])
    columns = {
        "record_id": [f"R{k}" for k in range(rows)],
        "patient_id": [f"P{k // 2}" for k in range(rows)],
        "visit_time": [None] * rows,
        "site": ["本部"] * rows,
        "department": [None] * rows,
        "sex": list(sex),
        "age": age.astype(np.float32),
        "text_note": texts,
        "labels": [[]] * rows,
        "split": ["test"] * rows,
        "fold": [None] * rows,
    }
    return pa.table(columns, schema=schema)


def test_groups_come_from_what_is_known_and_differs():
    _, sex, age, texts = scene(200)
    found = aspects_of(table(sex, age, texts))
    assert set(found) == {"sex", "age", "length"}
    assert set(found["age"]) <= {"0–17", "18–44", "45–59", "60–74", "75+"}
    edges = {"0–17": 0, "18–44": 18, "45–59": 45, "60–74": 60, "75+": 75}
    for band, years in zip(found["age"], age, strict=True):
        assert edges[band] == max(edge for edge in edges.values() if edge <= years)


def test_the_worst_group_is_named_and_absent_labels_are_marked():
    of, sex, age, texts = scene()
    found = measure_groups(of, aspects_of(table(sex, age, texts)), settings=SETTINGS, seed=1)
    worst = found.worst()
    assert (worst.aspect, worst.value) == ("sex", "M")
    assert worst.gap_interval[1] < 0
    assert worst.per_label["未见"] is None
    assert worst.absent == 1
    assert worst.expected_recall - worst.recall > 0.1
    women = next(group for group in found.groups if group.value == "F")
    assert women.gap == pytest.approx(-worst.gap)
    assert found.spread()["sex"] == pytest.approx(abs(worst.gap))
    json.dumps(found.to_json(), allow_nan=False)


def test_luck_is_no_gap_and_small_groups_are_not_judged():
    of, sex, age, texts = scene(failing=False)
    found = measure_groups(of, aspects_of(table(sex, age, texts)), settings=SETTINGS, seed=1)
    assert found.worst() is None
    assert found.lowest() is not None
    few = np.array(["X"] * 10 + ["F"] * (of.n - 10))
    small = measure_groups(of, {"sex": few.tolist()}, settings=SETTINGS, seed=1).groups
    assert not any(group.judged for group in small)
    assert all(group.p is None for group in small)


def test_a_planted_group_is_found_on_one_half_and_confirmed_on_the_other():
    of, sex, age, texts = scene()
    aspects = aspects_of(table(sex, age, texts))
    found = discover(of, aspects, texts, settings=SETTINGS, language="zh", seed=1)
    best = found.groups[0]
    said = {(c.aspect, c.value, c.holds) for c in best.conditions}
    assert best.confirmed
    assert ("word", "头晕", True) in said
    assert ("sex", "M", True) in said or ("sex", "F", False) in said
    assert best.gap < -0.2
    assert found.found_on + found.measured_on == of.n
    json.dumps(found.to_json(), allow_nan=False)
    honest, sex, age, texts = scene(failing=False, seed=4)
    nothing = discover(
        honest, aspects_of(table(sex, age, texts)), texts, settings=SETTINGS, language="zh", seed=1
    )
    assert not nothing.confirmed()
    with pytest.raises(InputError, match="too few to find groups"):
        small = scene(100)
        discover(small[0], {}, small[3], settings=SETTINGS, language="zh", seed=1)


def test_one_patient_is_no_group_and_tells_no_word():
    """Two patients with thirty visits each, all wrong, whose name stands in their notes."""
    of, *_ = scene(failing=False)
    n = np.arange(of.n)
    patient = np.where(n < 60, n // 30, n // 2)
    alone = n < 60
    wrong = np.where(alone[:, None], 1 - of.truth, of.truth) * 0.8 + 0.1
    own = gather(of.truth, wrong, None, LABELS, patient)
    texts = ["knee pain, wangxiaoming" if one else "knee pain again" for one in alone]
    aspects = {"site": ["Z" if one else "A" for one in alone]}
    for seed in range(4):
        found = discover(own, aspects, texts, settings=SETTINGS, language="en", seed=seed)
        assert not found.confirmed()
        assert "wangxiaoming" not in {c.value for group in found.groups for c in group.conditions}
    groups = measure_groups(own, aspects, settings=SETTINGS, seed=1).groups
    assert not any(group.judged for group in groups)


def test_labels_are_scored_by_how_often_training_saw_them():
    of, *_ = scene(400)
    trained = {"高血压": 900, "糖尿病": 150, "胃炎": 20, "未见": 3}
    found = {b.name: b for b in measure_buckets(of, trained, settings=SETTINGS, seed=1)}
    assert [found[name].labels for name in ("common", "middling", "rare")] == [1, 1, 2]
    assert found["rare"].absent == 1
    low, high = found["common"].interval
    assert low < found["common"].macro_f1 < high
    f1 = [found[name].macro_f1 for name in ("common", "middling", "rare")]
    assert found["common"].gap == pytest.approx(f1[0] - (f1[1] + f1[2]) / 2)
    low, high = found["common"].gap_interval
    assert low < found["common"].gap < high
    (alone,) = measure_buckets(of, {}, settings=SETTINGS, seed=1)
    assert (alone.name, alone.gap, alone.gap_interval) == ("rare", None, None)

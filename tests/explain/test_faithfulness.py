"""Faithfulness is what deleting does, and knows a good explanation from a random one."""

from __future__ import annotations

import numpy as np
import pytest

from emrobust import explain
from emrobust.errors import InputError
from emrobust.evaluate import faithfulness
from emrobust.evaluate.faithfulness import Sample
from emrobust.explain import Explanation
from emrobust.models.tfidf import Tfidf

CLASSES = ["cold", "stomach", "heart", "skin"]


@pytest.fixture(scope="module")
def model(easy):
    texts, _, matrix = easy(300)
    return Tfidf(classes=CLASSES, longest=2).fit(texts, matrix)


@pytest.fixture(scope="module")
def sample(easy, model):
    texts = easy(40, seed=2)[0]
    columns = [int(column) for column in model.predict_proba(texts).argmax(1)]
    return Sample(texts, columns, [f"p{row // 2}" for row in range(len(texts))])


def test_it_is_the_fall_of_the_probability(model):
    text = "患者咳嗽来诊"
    units = explain.split(text, "character")
    scores = np.array([float(text[a:b] in "咳嗽") for a, b in units])
    judged = explain.judge(
        model, [text], [0], {"mine": [Explanation(tuple(units), scores)]}, thresholds=(1 / 3, 1.0)
    )["mine"]
    whole, rest, top, nothing = model.predict_proba([text, "患者来诊", "咳嗽", ""])[:, 0]
    assert judged.comprehensiveness[0] == pytest.approx([whole - rest, whole - nothing])
    assert judged.sufficiency[0] == pytest.approx([whole - top, 0.0])


def test_the_report_tells_which_to_believe(model, sample):
    explainers = explain.available(model)
    chosen = faithfulness.choose(model, explainers, sample, "character")
    assert chosen != faithfulness.RANDOM
    found = faithfulness.measure(
        model, explainers, sample, "character", chosen=chosen, resamples=200
    )
    shown, control = found.of(chosen), found.of(faithfulness.RANDOM)
    assert shown.beats
    assert not control.beats
    gain = shown.gain[faithfulness.RANDOM]
    difference = shown.comprehensiveness.value - control.comprehensiveness.value
    assert gain.value == pytest.approx(difference)
    assert gain.low < gain.value < gain.high
    assert shown.sufficiency.value < control.sufficiency.value
    assert found.patients == 20
    plain = found.to_json()
    assert (
        plain["methods"][0]["comprehensiveness"]["low"]
        <= plain["methods"][0]["comprehensiveness"]["value"]
    )


def test_one_patient_is_too_few(model, sample):
    alone = sample._replace(patients=["p"] * len(sample.texts))
    with pytest.raises(InputError, match="2 patients"):
        faithfulness.measure(
            model, explain.available(model), alone, "word", chosen="occlusion", resamples=10
        )

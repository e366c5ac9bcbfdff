"""What is typical of a label is found; what a note denies is not taken for stated."""

from __future__ import annotations

import numpy as np

from emrobust.explain.cases import of_record, pick
from emrobust.explain.evidence import Evidence, mentions

NOTES = ["咳嗽3天，否认胸痛。", "胸痛1天，伴心悸，无咳嗽。", "皮疹伴瘙痒。", "乏力。"]


def evidence() -> Evidence:
    texts = NOTES * 20
    labels = [["lung"], ["heart"], ["skin"], []] * 20
    return Evidence(texts, labels, ["lung", "heart", "skin"])


def test_denied_findings_are_not_stated():
    found = mentions("胸痛1天，否认咳嗽、发热，心悸。")
    assert {"胸痛", "心悸"} <= found.stated
    assert {"咳嗽", "发热"} <= found.denied
    assert not found.stated & found.denied


def test_what_is_typical_is_what_the_label_states_more_often():
    typical = {finding.term: finding for finding in evidence().typical("heart")}
    assert {"胸痛", "心悸"} <= set(typical)
    assert "咳嗽" not in typical
    assert typical["胸痛"].share == 1.0
    assert typical["胸痛"].ratio > 10


def test_what_is_missing_is_told_apart_from_what_is_denied():
    found = {of.term: of.state for of in evidence().missing("heart", "乏力，否认胸痛。", 5)}
    assert found["胸痛"] == "denied"
    assert found["心悸"] == "absent"
    assert not evidence().missing("heart", NOTES[1], 5)


def test_the_worst_errors_come_first_and_no_label_fills_the_page():
    truth = np.zeros((8, 3), dtype=int)
    truth[5:, 2] = 1
    probability = np.full((8, 3), 0.1)
    probability[:5, 0] = [0.6, 0.9, 0.8, 0.7, 0.95]
    probability[5:, 2] = [0.3, 0.01, 0.2]
    predicted = (probability >= 0.5).astype(int)
    found = pick(truth, predicted, probability, np.full(3, 0.5), 10)
    assert [(of.row, of.kind) for of in found] == [
        (4, "false_positive"), (1, "false_positive"), (6, "false_negative"), (7, "false_negative"),
    ]  # fmt: skip
    assert [of.kind for of in of_record(4, truth, predicted)] == ["false_positive"]

"""CDS Hooks feedback: what it means for a prediction that suggestions were taken, or none."""

from __future__ import annotations

import json
import uuid

import pytest
from pydantic import ValidationError

from emrobust.serve import cds_feedback
from emrobust.serve.problem import RefusedError
from emrobust.serve.suggestions import suggestion_id

PREDICTION = "0193b0a0-0000-7000-8000-000000000001"
LABELS = ("I20", "I21", "I10")


def judge(exclusive=False, chosen=("I20", "I10"), **more):
    values = {
        "card": PREDICTION,
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-22T10:00:00Z",
        **more,
    }
    row = {"result": json.dumps({"probabilities": dict.fromkeys(LABELS, 0.5), "chosen": chosen})}
    given = cds_feedback.Outcome.model_validate(values)
    return cds_feedback.verdict(given, row, "k1", exclusive=exclusive)


def taking(*labels):
    taken = [{"id": suggestion_id(PREDICTION, label)} for label in labels]
    return {"outcome": "accepted", "acceptedSuggestions": taken}


@pytest.mark.parametrize(
    ("taken", "verdict", "labels"),
    [
        (("I20", "I10"), "accepted", ()),
        (("I10", "I20"), "accepted", ()),
        (("I20",), "partial", ("I20",)),  # of I10 nothing was said
        (("I21",), "partial", ("I21",)),
        (("I20", "I10", "I21"), "changed", ("I20", "I10", "I21")),
    ],
)
def test_what_was_not_taken_is_not_called_wrong(taken, verdict, labels):
    feedback, event = judge(**taking(*taken))
    assert (feedback.verdict, feedback.labels, event) == (verdict, labels, None)
    assert judge(**taking(*taken))[0] == feedback  # the same id: recorded once


@pytest.mark.parametrize(
    "at", [1_700_000_000, 1.7e9, "1700000000", "2026-11-22", "2026-11-22T10:00:00", "", None]
)
def test_a_moment_is_written_as_iso_8601_has_it(at):
    with pytest.raises(ValidationError, match="outcomeTimestamp"):
        judge(outcomeTimestamp=at)


def test_where_only_one_can_be_right_another_one_is_a_change():
    feedback, _ = judge(exclusive=True, chosen=("I20",), **taking("I21"))
    assert (feedback.verdict, feedback.labels) == ("changed", ("I21",))


def test_an_override_keeps_its_code_and_never_the_clients_own_words():
    reason = {"reason": {"code": "known-already"}, "userComment": "已知"}
    feedback, event = judge(overrideReason=reason)
    assert (feedback.verdict, feedback.comment) == ("rejected", "已知")
    assert event.detail["reason"] == "known-already"
    _, event = judge(overrideReason={"reason": {"code": "病人张三"}})
    assert "张三" not in str(event)


def test_a_suggestion_of_another_card_is_refused():
    with pytest.raises(RefusedError):
        judge(outcome="accepted", acceptedSuggestions=[{"id": str(uuid.uuid4())}])

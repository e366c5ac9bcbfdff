"""CDS Hooks 2.0: discovery, what is read of a call, and cards that keep to the specification."""

from __future__ import annotations

import base64
import json
import re
import uuid

import pytest

from emrobust.errors import EmrobustError
from emrobust.serve import cds
from emrobust.serve.fhir.reading import Note
from emrobust.serve.fhir.resources import ResourceError
from emrobust.serve.problem import RefusedError
from emrobust.serve.suggestions import Suggestion

NOTE = Note(
    {"reference": "Patient/p1"},
    ("反复胸痛3天",),
    basis=("DocumentReference/d1",),
    date="2026-11-20",
)
INTENT = {"create", "update", "delete"}


def walk(value, path="card"):
    """Every value of a JSON with its path."""
    yield path, value
    if isinstance(value, dict):
        for key, child in value.items():
            yield from walk(child, f"{path}.{key}")
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield from walk(child, f"{path}[{place}]")


def check_card(card):
    """The rules of the specification, section "Card attributes"."""
    for path, value in walk(card):
        assert value not in (None, "", [], {}), path
    known = {"uuid", "summary", "detail", "indicator", "source", "suggestions",
             "selectionBehavior", "overrideReasons", "links"}  # fmt: skip
    assert set(card) <= known
    assert {"summary", "indicator", "source"} <= set(card)
    uuid.UUID(card["uuid"])
    assert len(card["summary"]) < 140
    assert "\n" not in card["summary"]
    assert card["indicator"] in ("info", "warning")  # never critical by us
    assert card["source"]["label"]
    assert card["source"]["topic"]["code"]
    assert ("suggestions" in card) == ("selectionBehavior" in card)
    assert card.get("selectionBehavior", "any") in ("any", "at-most-one")
    recommended = 0
    for suggestion in card.get("suggestions", ()):
        uuid.UUID(suggestion["uuid"])
        assert suggestion["label"]
        recommended += suggestion["isRecommended"]
        for action in suggestion["actions"]:
            assert action["type"] in INTENT
            assert action["description"]
            assert action["resource"]["resourceType"] == "Condition"
    assert recommended <= 1 or card["selectionBehavior"] == "any"
    assert all(reason["display"] and reason["code"] for reason in card.get("overrideReasons", ()))
    for link in card.get("links", ()):
        assert link["type"] == "absolute"
        assert link["url"].startswith("http")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("page", ["", "https://emrobust.hospital.example/"])
def test_a_card_keeps_to_the_specification(advice, language, page):
    for more in (
        {},
        {"reasons": ("nothing_chosen",)},
        {"warnings": ("too_long",)},
        {"task": "single"},
    ):
        card = cds.card(advice(language=language, **more), NOTE, page)
        check_card(card)
        assert ("links" in card) == bool(page)
        assert NOTE.documents[0] not in json.dumps(card, ensure_ascii=False)


def test_a_card_suggests_what_is_chosen_and_offers_the_rest_of_the_set(advice):
    card = cds.card(advice(), NOTE)
    labels = [(one["label"], one["isRecommended"]) for one in card["suggestions"]]
    assert labels == [
        ("记为待证实诊断：心绞痛|不稳定", True),
        ("记为待证实诊断：急性心肌梗死", False),
    ]
    assert card["indicator"] == "info"
    assert "心绞痛\\|不稳定" in card["detail"]  # a bar would begin a column
    assert "2026-11-20" in card["detail"]


def test_a_card_of_a_model_that_is_not_sure_has_nothing_to_accept(advice):
    card = cds.card(advice(reasons=("set_too_wide",)), NOTE)
    assert "suggestions" not in card
    assert card["summary"] == "模型没有把握，不提出诊断"


def test_a_card_warns_where_the_model_did_not_read_all(advice):
    assert cds.card(advice(warnings=("too_long",)), NOTE)["indicator"] == "warning"
    assert cds.card(advice(warnings=("empty_field",)), NOTE)["indicator"] == "info"


def test_no_probability_is_shown_as_certain(advice):
    sure = Suggestion("a", "甲", ("I10",), 0.9997, chosen=True, inside=True)
    never = Suggestion("b", "乙", ("I20",), 0.0002, chosen=False, inside=False)
    card = cds.card(advice(sure, never), NOTE)
    assert "甲（>99%）" in card["summary"]
    assert "| \\>99.9% |" in card["detail"]
    assert "| \\<0.1% |" in card["detail"]


def test_a_summary_is_cut_between_labels(advice):
    many = [
        Suggestion(f"L{n}", "很长的诊断名称" * 4, (), 0.9, chosen=True, inside=True)
        for n in range(9)
    ]
    summary = cds.card(advice(*many), NOTE)["summary"]
    assert 100 < len(summary) < 140
    assert summary.endswith("）…")
    endless = Suggestion("L", "长" * 300, (), 0.9, chosen=True, inside=True)
    check_card(cds.card(advice(endless), NOTE))


def test_discovery_describes_both_services_with_plain_queries():
    token = re.compile(r"\{\{context\.(\w+)\}\}")
    for language in ("zh", "en"):
        told = cds.services(language)["services"]
        assert {one["hook"] for one in told} == {"patient-view", "encounter-start"}
        for one in told:
            assert {"id", "title", "description", "prefetch", "usageRequirements"} <= set(one)
            for query in one["prefetch"].values():
                assert set(token.findall(query)) <= {"patientId", "encounterId"}
                assert "{" not in token.sub("", query)
            check = [value for _, value in walk(one)]
            assert None not in check
            assert "" not in check


def call(**more) -> cds.Call:
    values = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/7", "patientId": "p1"},
        "prefetch": {"encounter": VISIT},
    }
    return cds.Call.model_validate({**values, **more})


VISIT = {
    "resourceType": "Encounter",
    "id": "e1",
    "subject": {"reference": "Patient/p1"},
    "reasonCode": [{"text": "胸痛3天"}],
}
VIEW = cds.service_of("emrobust-patient-view")


def test_what_was_prefetched_is_read_and_null_means_no_data():
    note = cds.read(call(prefetch={"encounter": VISIT, "documents": None, "others": 7}), VIEW)
    assert note.text("zh") == "胸痛3天"
    found = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": VISIT}]}
    assert cds.read(call(prefetch={"encounter": found}), VIEW) == note


@pytest.mark.parametrize(
    "prefetch", [{}, {"documents": None}, {"encounter": {"resourceType": "OperationOutcome"}}]
)
def test_without_a_text_the_precondition_fails(prefetch):
    with pytest.raises(RefusedError) as told:
        cds.read(call(prefetch=prefetch), VIEW)
    assert told.value.status == 412


def test_another_patients_note_is_refused():
    for wrong in (
        {"encounter": {**VISIT, "subject": {"reference": "Patient/p2"}}},
        {"encounter": VISIT, "patient": {"resourceType": "Patient", "id": "p2"}},
    ):
        with pytest.raises(ResourceError, match="2 patients"):
            cds.read(call(prefetch=wrong), VIEW)


def document(visit, day):
    data = base64.b64encode(f"胸痛{day}天".encode()).decode()
    return {
        "resourceType": "DocumentReference",
        "id": f"d{day}",
        "status": "current",
        "subject": {"reference": "Patient/p1"},
        "date": f"2026-11-{day:02d}",
        "context": {"encounter": [{"reference": f"Encounter/{visit}"}]},
        "content": [{"attachment": {"contentType": "text/plain", "data": data}}],
    }


def found(*resources):
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": one} for one in resources],
    }


def test_the_newest_document_alone_is_read_and_tells_the_visit():
    prefetch = {"encounter": VISIT, "documents": found(document("e0", 9), document("e0", 2))}
    note = cds.read(call(prefetch=prefetch), VIEW)
    assert (note.documents, note.basis) == (("胸痛9天",), ("DocumentReference/d9",))
    assert (note.encounter, note.record_id) == ("Encounter/e0", "e0")


def test_a_visit_that_starts_is_not_given_another_ones_note():
    start = cds.service_of("emrobust-encounter-start")
    context = {"userId": "Practitioner/7", "patientId": "p1", "encounterId": "e1"}

    def read(**prefetch):
        return cds.read(call(hook="encounter-start", context=context, prefetch=prefetch), start)

    old = document("e0", 9)
    with pytest.raises(ResourceError, match="another visit"):
        read(documents=old)
    with pytest.raises(ResourceError, match="another visit"):
        read(encounter={**VISIT, "id": "e0"})
    assert read(encounter=VISIT, documents=old).basis == ("Encounter/e1",)
    note = read(encounter=VISIT, documents=found(old, document("e1", 2)))
    assert (note.documents, note.encounter) == (("胸痛2天",), "Encounter/e1")


def test_another_visits_note_and_another_hook_are_refused():
    start = cds.service_of("emrobust-encounter-start")
    context = {"userId": "Practitioner/7", "patientId": "p1", "encounterId": "e2"}
    for given, service in (
        (call(hook="encounter-start", context=context), start),
        (call(), start),
    ):
        with pytest.raises(EmrobustError):
            cds.read(given, service)

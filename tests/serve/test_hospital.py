"""CDS Hooks, FHIR, feedback and de-identification over HTTP, with a real model and a real store."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import replace

import pytest

from emrobust.serve.store import Prediction
from emrobust.serve.store.entries import new_id
from emrobust.serve.suggestions import suggestion_id

pytestmark = pytest.mark.anyio
NOTE = "患者胸闷心悸3天，活动后加重，无发热。既往高血压病史10年。"
VIEW = "/cds-services/emrobust-patient-view"


def document(text=NOTE, **more):
    data = base64.b64encode(text.encode()).decode()
    return {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "subject": {"reference": "Patient/p1"},
        "content": [{"attachment": {"contentType": "text/plain", "data": data}}],
        **more,
    }


def hook(**more):
    return {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": "Practitioner/7", "patientId": "p1", "encounterId": "e1"},
        "prefetch": {"patient": {"resourceType": "Patient", "id": "p1"}, "documents": document()},
        **more,
    }


def bundle(*resources):
    entries = [{"resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def stored(opened):
    rows = opened.store.predictions()
    return rows[-1] if rows else None


async def test_a_hook_is_answered_with_a_card_that_feedback_finds(client, opened):
    told = await client.post(VIEW, json=hook())
    assert told.status_code == 200, told.text
    (card,) = told.json()["cards"]
    row = stored(opened)
    assert row["id"] == card["uuid"]
    assert row["actor"].endswith(" Practitioner/7")
    assert NOTE[:6] not in told.text
    label = json.loads(row["result"])["chosen"][0] if "suggestions" in card else None
    outcome = {"card": card["uuid"], "outcomeTimestamp": "2026-11-22T10:00:00Z"}
    if label is None:
        said = {**outcome, "outcome": "overridden"}
    else:
        taken = [{"id": suggestion_id(card["uuid"], label)}]
        assert taken[0]["id"] in {one["uuid"] for one in card["suggestions"]}
        said = {**outcome, "outcome": "accepted", "acceptedSuggestions": taken}
    for _ in range(2):  # a client may send it twice
        answer = await client.post(f"{VIEW}/feedback", json={"feedback": [said]})
        assert answer.status_code == 200, answer.text
    (kept,) = opened.store.feedback()
    assert kept["prediction"] == card["uuid"]


async def test_discovery_is_open_and_calls_are_not(client):
    nobody = {"Authorization": ""}
    assert (await client.get("/cds-services", headers=nobody)).status_code == 200
    assert (await client.post(VIEW, json=hook(), headers=nobody)).status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/cds-services/other", hook(), 404),
        (VIEW, hook(hook="order-sign"), 422),
        (VIEW, hook(hook="encounter-start"), 422),
        (VIEW, hook(hookInstance="no"), 422),
        (VIEW, hook(context={"userId": "Practitioner/7", "patientId": None}), 422),
        (VIEW, hook(prefetch={}), 412),
        (VIEW, hook(prefetch={"documents": None}), 412),
        (VIEW, hook(prefetch={"documents": document(subject={"reference": "Patient/p2"})}), 422),
        (VIEW, hook(prefetch={"documents": document(subject=None)}), 422),
        (f"{VIEW}/feedback", {"feedback": []}, 422),
        (
            f"{VIEW}/feedback",
            {"feedback": [{"card": str(uuid.uuid4()), "outcome": "overridden",
                           "outcomeTimestamp": "2026-11-22T10:00:00Z"}]},
            404,
        ),
    ],
)  # fmt: skip
async def test_a_wrong_call_is_a_problem(client, opened, path, body, status):
    told = await client.post(path, json=body)
    assert told.status_code == status, told.text
    assert told.headers["content-type"] == "application/problem+json"
    assert stored(opened) is None


async def test_a_bundle_is_answered_with_an_assessment(client, opened):
    told = await client.post(
        "/fhir/$diagnose",
        content=json.dumps(bundle(document())),
        headers={"Content-Type": "application/fhir+json"},
    )
    assert told.status_code == 200, told.text
    assert told.headers["content-type"].startswith("application/fhir+json")
    kinds = [entry["resource"]["resourceType"] for entry in told.json()["entry"]]
    assert kinds[0] == "RiskAssessment"
    assert set(kinds[1:]) <= {"Condition"}
    assert stored(opened)["record_id"] == "d1"
    assert NOTE[:6] not in told.text


BROKEN = document()
BROKEN["content"] = [{"attachment": {"contentType": "text/plain", "data": "%%"}}]
NOBODYS = document()
del NOBODYS["subject"]


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (json.dumps(bundle(NOBODYS)), "application/fhir+json", 422, "required"),
        (json.dumps(bundle(BROKEN)), "application/fhir+json", 422, "value"),
        (json.dumps(bundle(document("\x00\x01"))), "application/fhir+json", 422, "invalid"),
        (json.dumps(bundle(document(subject=None))), "application/fhir+json", 422, "structure"),
        ("{", "application/json", 400, "structure"),
        ("[]", "application/json", 422, "invalid"),
        ("<Bundle/>", "application/fhir+xml", 415, "not-supported"),
        (json.dumps(bundle(document("胸痛" * 500_000))), "application/json", 413, "too-long"),
    ],
)
async def test_a_wrong_bundle_is_an_operation_outcome(client, content, kind, status, code):
    told = await client.post("/fhir/$diagnose", content=content, headers={"Content-Type": kind})
    assert told.status_code == status, told.text
    assert told.headers["content-type"].startswith("application/fhir+json")
    outcome = told.json()
    assert (outcome["resourceType"], outcome["issue"][0]["code"]) == ("OperationOutcome", code)


async def test_fhir_says_what_it_can_and_refuses_without_a_key(client):
    told = (await client.get("/fhir/metadata")).json()
    assert (told["resourceType"], told["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
    assert (await client.get("/fhir/OperationDefinition/diagnose")).status_code == 200
    refused = await client.get("/fhir/metadata", headers={"Authorization": "Bearer no"})
    assert refused.status_code == 401
    assert refused.json()["issue"][0]["code"] == "login"
    assert refused.headers["www-authenticate"]
    assert (await client.get("/fhir/Patient/1")).json()["issue"][0]["code"] == "not-found"


async def test_feedback_is_kept_with_the_prediction(client, opened):
    found = (await client.post("/v1/diagnose", json={"text": NOTE})).json()
    said = {
        "prediction": found["id"],
        "verdict": "changed",
        "labels": [found["labels"][3]["label"]],
    }
    told = await client.post("/v1/feedback", json=said)
    assert told.status_code == 201, told.text
    (kept,) = opened.store.feedback()
    assert (kept["id"], kept["verdict"]) == (told.json()["id"], "changed")
    for wrong, status in (
        ({**said, "labels": ["no label"]}, 422),
        ({**said, "labels": []}, 422),
        ({**said, "verdict": "accepted"}, 422),
        ({**said, "prediction": "0193b0a0-0000-7000-8000-000000000001"}, 404),
    ):
        assert (await client.post("/v1/feedback", json=wrong)).status_code == status


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"abstained": True}, "not sure"),
        ({"chosen": ()}, "chose nothing"),
        ({"beside": new_id()}, "shown to nobody"),
    ],
)
async def test_what_was_not_offered_cannot_be_accepted(client, opened, more, says):
    row = Prediction(
        actor="clinician", task="diagnose", model="m@1", probabilities={"a": 0.9}, chosen=("a",)
    )
    hidden = replace(row, **more, id=new_id())
    for one, status in ((row, 201), (hidden, 422)):
        opened.store.record(one)
        told = await client.post("/v1/feedback", json={"prediction": one.id, "verdict": "accepted"})
        assert told.status_code == status
    assert says in told.json()["detail"]
    rejected = {"prediction": hidden.id, "verdict": "rejected"}
    assert (await client.post("/v1/feedback", json=rejected)).status_code == 201


async def test_a_text_loses_its_identifiers_and_none_is_kept(client, opened):
    text = "患者张三，电话13812345678，胸痛3天。"
    told = (await client.post("/v1/deidentify", json={"text": text})).json()
    assert "13812345678" not in told["text"]
    assert told["remaining"] == 0
    kinds = {text[span["start"] : span["end"]]: span["kind"] for span in told["spans"]}
    assert kinds["13812345678"] == "phone"
    fields = {"主诉": "胸痛", "present_illness": text}
    told = (await client.post("/v1/deidentify", json={"fields": fields})).json()
    assert told["fields"]["主诉"] == "胸痛"
    assert {span["field"] for span in told["spans"]} == {"present_illness"}
    row = opened.store.audit()[-1]
    assert row["action"] == "deidentified"
    assert "张三" not in str(opened.store.audit())
    for wrong in ({"text": "\ud800"}, {}, {"text": "a", "fields": {}}):
        told = await client.post(
            "/v1/deidentify",
            content=json.dumps(wrong),
            headers={"Content-Type": "application/json"},
        )
        assert told.status_code == 422

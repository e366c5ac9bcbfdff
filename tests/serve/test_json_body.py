"""What is no JSON is refused for what it is, on every path, and a key is asked for first."""

from __future__ import annotations

import gzip
import json

import pytest
from fastapi.routing import APIRoute

from emrobust.serve.app import find_routers
from emrobust.serve.json_body import JsonRoute

pytestmark = pytest.mark.anyio
BODY = json.dumps({"text": "患者胸闷心悸3天，活动后加重，无发热。"}).encode()
JSON = {"Content-Type": "application/json"}
PATHS = (
    "/v1/diagnose",
    "/v1/triage",
    "/v1/explain",
    "/v1/deidentify",
    "/v1/feedback",
    "/cds-services/emrobust-patient-view",
    "/cds-services/emrobust-patient-view/feedback",
    "/v2/models/clinic/infer",
    "/fhir/$diagnose",
)


def test_every_route_with_a_body_reads_it_so():
    routes = [route for router in find_routers() for route in router.routes]
    bodies = [route for route in routes if isinstance(route, APIRoute) and route.body_field]
    assert set(PATHS) - {route.path for route in bodies} == {
        "/cds-services/emrobust-patient-view",
        "/cds-services/emrobust-patient-view/feedback",
        "/v2/models/clinic/infer",
    }  # whose routes have names in braces
    assert all(isinstance(route, JsonRoute) for route in bodies)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, BODY, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"text=a", 415),
        ({"Content-Type": "application/xml"}, b"<a/>", 415),
        ({"Content-Type": "text/x+json"}, BODY, 415),
        ({}, BODY, 415),
        ({**JSON, "Content-Encoding": "gzip"}, gzip.compress(BODY), 415),
        (JSON, BODY[:-1], 400),
        (JSON, b"\xff\xfe\x00", 400),
    ],
)
async def test_what_is_no_json_is_refused(client, path, headers, body, status):
    answer = await client.post(path, content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert (answer.headers.get("accept-encoding") == "identity") == ("Content-Encoding" in headers)
    stranger = {**headers, "Authorization": "Bearer wrong"}
    assert (await client.post(path, content=body, headers=stranger)).status_code == 401


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.clinic+json"]
)
async def test_json_may_be_called_by_other_names(client, kind):
    for path in PATHS[:4]:
        answer = await client.post(path, content=BODY, headers={"Content-Type": kind})
        assert answer.status_code == 200, answer.text


async def test_a_body_that_is_absent_is_none_of_another_type(client):
    answer = await client.post("/v1/diagnose")
    assert answer.json()["type"] == "urn:emrobust:invalid"

"""HEAD is answered wherever GET is, as GET is, without the body."""

from __future__ import annotations

import logging

import httpx

CHANGING = {"date", "x-request-id"}


def headers_of(answer):
    return {name: value for name, value in answer.headers.items() if name not in CHANGING}


def test_a_head_is_that_of_get(address, as_role, caplog):
    caplog.set_level(logging.INFO)
    with httpx.Client(base_url=address, headers=as_role("clinician")) as client:
        for path, status in (
            ("/", 200),
            ("/docs", 200),
            ("/openapi.json", 200),
            ("/docs/swagger-ui.css", 200),
            ("/v2/health/live", 200),
            ("/v2/health/ready", 200),
            ("/v2/models/clinic", 200),
            ("/v1/models", 200),
            ("/cds-services", 200),
            ("/fhir/metadata", 200),
            ("/v1/monitor", 403),
            ("/v1/batch/none/result", 404),
            ("/nothing", 404),
        ):
            head, whole = client.head(path), client.get(path)
            assert head.status_code == whole.status_code == status, path
            assert headers_of(head) == headers_of(whole), path
            assert not head.content
        etag = client.get("/").headers["etag"]
        assert client.head("/", headers={"If-None-Match": etag}).status_code == 304
        refused = client.head("/v1/diagnose")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert client.patch("/v1/batch").headers["allow"] == "GET, HEAD, POST"
        schema = client.get("/openapi.json").json()
    assert not [path for path, methods in schema["paths"].items() if "head" in methods]
    assert "HEAD /v2/health/live 200" in caplog.text

"""Errors as OperationOutcome."""

from __future__ import annotations

from typing import Any

from emrobust.serve.fhir.resources import ResourceError

# HTTP's status → FHIR's IssueType; `processing` for all others.
_CODES = {
    400: "structure",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    409: "conflict",
    413: "too-long",
    415: "not-supported",
    422: "invalid",
    429: "throttled",
    500: "exception",
    503: "transient",
    504: "timeout",
    507: "no-store",
}


def of_problem(told: dict[str, Any]) -> dict[str, Any]:
    """A problem's body as OperationOutcome."""
    said = " ".join(filter(None, (f"{told['detail']}.", told.get("hint"))))
    issue: dict[str, Any] = {
        "severity": "fatal" if told["status"] >= 500 else "error",
        "code": _CODES.get(told["status"], "processing"),
        "details": {"text": told["title"]},
        "diagnostics": said,
    }
    places = [mistake["where"] for mistake in told.get("errors") or ()]
    if places:
        issue["expression"] = places
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def of_error(error: ResourceError) -> dict[str, Any]:
    """A resource's mistake as OperationOutcome."""
    issue: dict[str, Any] = {
        "severity": "error",
        "code": error.code,
        "diagnostics": " ".join(filter(None, (f"{error.message}.", error.hint))),
    }
    if error.where:
        issue["expression"] = list(error.where)
    return {"resourceType": "OperationOutcome", "issue": [issue]}

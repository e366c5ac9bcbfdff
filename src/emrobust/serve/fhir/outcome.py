"""Errors below ``/fhir`` as OperationOutcome, wherever in the service they arise."""

from __future__ import annotations

import json
from typing import Any, final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emrobust.serve import problem
from emrobust.serve.fhir.resources import ResourceError
from emrobust.serve.fhir.writing import MEDIA_TYPE

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


@final
class Outcomes:
    """ASGI middleware: what is told as a problem is told as an OperationOutcome."""

    def __init__(self, app: ASGIApp, prefix: str = "/fhir") -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and rewrite the body of a problem."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not f"{path}/".startswith(f"{self._prefix}/"):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Rewriter(send))


class _Rewriter:
    """Holds a problem back until its body is whole; everything else passes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kinds = [value for name, value in message["headers"] if name == b"content-type"]
            if kinds == [problem.MEDIA_TYPE.encode()]:
                self._held = message
                return
        if self._held is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body"):
            await self._finish(self._held)

    async def _finish(self, start: Message) -> None:
        body = json.dumps(of_problem(json.loads(self._body)), ensure_ascii=False).encode()
        kept = [
            (name, value)
            for name, value in start["headers"]
            if name not in (b"content-type", b"content-length")
        ]
        own = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await self._send({**start, "headers": [*kept, *own]})
        await self._send({"type": "http.response.body", "body": body})

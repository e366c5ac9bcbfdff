"""Errors as ``application/problem+json`` (RFC 9457): what happened, what to do, and no text.

Whatever a request holds may be a patient's, so nothing of it is echoed: neither a value that was
refused nor an unforeseen error's message.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Route

from emrobust.errors import (
    ColumnsError,
    ConfigError,
    DeniedError,
    EmrobustError,
    InputError,
    NotFoundError,
    RunError,
    StorageError,
    StoreError,
    UnavailableError,
)

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("emrobust.serve")
_RETRY_SECONDS = 5
_KEY = re.compile(r"\w{1,40}\Z", re.ASCII)


class RefusedError(EmrobustError):
    """A request that is answered with an error's status.

    Args:
        status: of HTTP.
        code: one word or two for programs, such as ``queue_full``.
        message: what happened; never a record's text.
        hint: what to do.
        retry: seconds after which the same request may be right.
        errors: the places that are wrong.
        headers: further ones of the response.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str = "",
        *,
        retry: float | None = None,
        errors: Sequence[Mistake] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.errors = errors
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        if retry is not None:
            self.headers["Retry-After"] = str(max(math.ceil(retry), 1))


class Mistake(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(extra="forbid")

    where: str = Field(description="such as body.fields.chief_complaint, or a table's column")
    what: str


class Problem(BaseModel):
    """An error's body."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="urn:emrobust:CODE")
    title: str
    status: int
    detail: str
    hint: str | None = None
    errors: list[Mistake] | None = None
    error: str | None = Field(None, description="all of it in a line, below /v2 alone")


# An error's status and code; the first class that fits.
_STATUS: tuple[tuple[type[EmrobustError], int, str], ...] = (
    (DeniedError, 401, "denied"),
    (NotFoundError, 404, "not_found"),
    (StoreError, 500, "store"),
    (RunError, 422, "package"),
    (ConfigError, 422, "settings"),
    (ColumnsError, 422, "columns"),
    (InputError, 422, "input"),
    (UnavailableError, 503, "unavailable"),
    (StorageError, 507, "disk_full"),
)
_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "media_type",
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What FastAPI's ``responses=`` takes, so that OpenAPI tells of these errors."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


# Of every path that needs a key, and of those that a model answers.
GUARDED = (401, 403, 429, 503)
ANSWERED = (400, 401, 403, 404, 408, 413, 415, 422, 429, 503, 504, 507)


def respond(
    status: int,
    code: str,
    detail: str,
    hint: str = "",
    *,
    errors: Sequence[Mistake] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error as a response."""
    body = Problem(
        type=f"urn:emrobust:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        hint=hint or None,
        errors=list(errors) or None,
    )
    return JSONResponse(
        body.model_dump(exclude_none=True), status, headers=headers, media_type=MEDIA_TYPE
    )


def of_error(error: EmrobustError) -> RefusedError:
    """The status, code and headers that one of this package's errors has."""
    if isinstance(error, RefusedError):
        return error
    status, code = next(
        ((status, code) for kind, status, code in _STATUS if isinstance(error, kind)),
        (500, "failed"),
    )
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    retry = _RETRY_SECONDS if status in (503, 507) else None
    columns = error.columns if isinstance(error, ColumnsError) else ()
    errors = [Mistake(where=name, what="is missing, or there twice") for name in columns]
    return RefusedError(
        status, code, error.message, error.hint, retry=retry, errors=errors, headers=headers
    )


def install(app: FastAPI) -> None:
    """Answer every error of an application so."""
    app.add_exception_handler(EmrobustError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)


def _on_error(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, EmrobustError)  # noqa: S101 - registered for it alone
    refusal = of_error(error)
    if refusal.status == 500:
        _LOG.error("%s: %s", type(error).__name__, error.message)
    return respond(
        refusal.status,
        refusal.code,
        refusal.message,
        refusal.hint,
        errors=refusal.errors,
        headers=refusal.headers,
    )


def _on_invalid(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    mistakes = [
        Mistake(where=_place(details["loc"]), what=_say(details)) for details in error.errors()
    ]
    return respond(422, "invalid", f"the request has {len(mistakes)} mistake(s)", errors=mistakes)


def _place(loc: Sequence[Any]) -> str:
    """Where a mistake is; a key that the caller made up may itself hold a text."""
    return ".".join(part if _KEY.match(part) else "…" for part in map(str, loc))


def _say(details: Mapping[str, Any]) -> str:
    """What is wrong, in pydantic's words, of which none quotes the value."""
    if details["type"] == "extra_forbidden":
        return "there is no such key"
    return str(details["msg"]).removeprefix("Value error, ")


def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    code = _CODES.get(error.status_code, "refused")
    phrase = HTTPStatus(error.status_code).phrase
    hint = "The paths are listed at /docs." if error.status_code in (404, 405) else ""
    headers = _allow(request) if error.status_code == 405 else error.headers
    return respond(error.status_code, code, phrase.lower(), hint, headers=headers)


def _allow(request: Request) -> dict[str, str]:
    """All methods that a path takes; Starlette names those of its first route alone."""
    known = {
        method
        for route in request.app.state.routes
        if isinstance(route, Route) and route.path_regex.match(request.url.path)
        for method in route.methods or ()
    }
    if "GET" in known:
        known.add("HEAD")  # the shield answers it
    return {"Allow": ", ".join(sorted(known))}


def unforeseen(error: Exception) -> Response:
    """An error that nobody thought of; its message may quote a record, so it is not shown."""
    _LOG.error("an unforeseen %s", type(error).__name__)
    return respond(
        500, "unforeseen", f"an unforeseen {type(error).__name__}", "Tell who runs the service."
    )

"""Bodies that are JSON: who asks is looked at before what they send, and what is none is refused.

FastAPI parses a body before it asks for a key. Here one that cannot be parsed stays bytes, as one
of another media type does, so a stranger with a broken body is told of the key alone. The type must
be named: without that rule any site's page could send a body from a visitor's browser.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from emrobust.serve.problem import RefusedError


class _Lenient(Request):
    """A request whose body is bytes where it is no JSON."""

    async def json(self) -> Any:
        try:
            return await super().json()
        except (ValueError, RecursionError):
            return await self.body()


class JsonRoute(APIRoute):
    """A route whose body, where it has one, is JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler.

        Raises:
            RefusedError: by the handler, of a body that could not be read: 415 where its media type
                or coding is another one, 400 where it is broken.
        """
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await answer(_Lenient(request.scope, request.receive))
            except RequestValidationError as error:
                if isinstance(error.body, bytes):
                    raise _unread(request) from None
                raise

        return handle


def _unread(request: Request) -> RefusedError:
    """Why a body stayed bytes."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        return RefusedError(
            415,
            "content_coding",
            "the body is compressed",
            "Send it as it is, without Content-Encoding.",
            headers={"Accept-Encoding": "identity"},
        )
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return RefusedError(400, "no_json", "the body is no JSON", "Send UTF-8 JSON.")
    return RefusedError(
        415,
        "media_type",
        "the body is not said to be JSON",
        "Send the header Content-Type: application/json (below /fhir application/fhir+json).",
    )

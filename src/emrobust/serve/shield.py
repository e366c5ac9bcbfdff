"""What stands around every request: its size, its deadline, its caller's patience, its headers.

Pure ASGI, since a middleware on Starlette's base class would hold every body in memory twice. A
request's body is read here, counted on its way, so that a route never sees half of one. Paths in
`STREAMED` read their bodies themselves and have no deadline while something of them comes. What no
model could answer soon (`emrobust.serve.admission`) is refused here, before any work is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emrobust.serve import problem
from emrobust.serve.admission import Admission
from emrobust.serve.metrics import Metrics
from emrobust.serve.problem import RefusedError
from emrobust.serve.service import ANSWERING
from emrobust.serve.settings import Limits
from emrobust.serve.store.entries import new_id

if TYPE_CHECKING:
    from emrobust.serve.telemetry import Tracer

STREAMED = ("/v1/batch",)
_BODY_SECONDS = 20.0
_LOG = logging.getLogger("emrobust.access")

# Nothing from elsewhere, no frame, no inline script; a route may set its own instead.
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
# Made once, since refusing must be cheap when much is refused.
_FULL = problem.respond(
    503, "queue_full", "as many requests wait as can be answered soon", "Try again in a moment."
)
_FULL_HEADERS = list(_FULL.raw_headers)
_ENDING = RefusedError(
    503,
    "ending",
    "the service ends and could not wait for this request",
    "Try again in a moment.",
    retry=5,
    headers={"Connection": "close"},
)


class _Answer:
    """What became of a response so far."""

    def __init__(self, send: Send, request: str) -> None:
        self._send = send
        self._request = request
        self.started = False
        self.finished = False
        self.status = 0
        self.deadline: asyncio.Timeout | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            if self.deadline is not None:
                self.deadline.reschedule(None)  # what has begun may take its time
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        elif not message.get("more_body", False):
            self.finished = True
        await self._send(message)


@final
class Shield:
    """The outermost part of the service.

    Args:
        app: what is inside.
        limits: of requests.
        metrics: counts them.
        admission: of those that a model must answer.
        tracer: is told of each; None: nobody is.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        metrics: Metrics,
        admission: Admission,
        tracer: Tracer | None,
    ) -> None:
        self._app = app
        self._tracer = tracer
        self._limits = limits
        self._metrics = metrics
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; see the class."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        request = new_id()
        answer = _Answer(send, request)
        ANSWERING.set(None)
        method = scope["method"]
        if method == "HEAD":  # answered as GET is; the server leaves the body out
            scope = {**scope, "method": "GET"}
        try:
            await self._guard(scope, receive, answer)
        finally:
            self._tell(scope, request, method, answer.status, time.perf_counter() - start)

    async def _guard(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            if scope["path"] in STREAMED and scope["method"] == "POST":
                await self._app(scope, _counted(scope, receive, self._limits.upload), answer)
            else:
                await self._serve(scope, receive, answer)
        except RefusedError as refusal:
            await _refuse(scope, receive, answer, refusal)
        except asyncio.CancelledError:  # by the server, which ends and waits no longer
            await _refuse(scope, receive, answer, _ENDING)
        except Exception as error:  # nothing may reach the server's log, which shows messages
            if answer.started:
                _LOG.error("an unforeseen %s after the response began", type(error).__name__)
                return
            await problem.unforeseen(error)(scope, receive, answer)

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        """Read the body, let it in where there is room, and answer it."""
        route = self._admission.find(scope)
        if route is not None and self._admission.is_full:
            await self._turn_away(scope, route, answer)
            return
        body = await _read(scope, receive, self._limits.body)
        if body is None:
            self._metrics.watch_hang_up()
        elif route is None:
            await self._answer(scope, receive, answer, body)
        elif self._admission.is_full:  # since a slow body holds no place
            await self._turn_away(scope, route, answer)
        else:
            self._admission.enter()
            try:
                await self._answer(scope, receive, answer, body)
            finally:
                self._admission.leave(answered=200 <= answer.status < 400)

    async def _turn_away(self, scope: Scope, route: Route, answer: _Answer) -> None:
        scope["route"] = route  # for metrics and the log; no router will see this request
        retry = math.ceil(self._admission.retry) or 1
        headers = [*_FULL_HEADERS, (b"retry-after", str(retry).encode())]
        await answer({"type": "http.response.start", "status": 503, "headers": headers})
        await answer({"type": "http.response.body", "body": _FULL.body})

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer, body: bytes) -> None:
        """Answer before the deadline, or stop when the caller hangs up."""
        try:
            async with asyncio.timeout(self._limits.deadline) as answer.deadline:
                with _watch(receive, answer) as gone:
                    await self._app(scope, _replay(body, gone), answer)
        except _HungUpError:
            self._metrics.watch_hang_up()
        except TimeoutError:
            answer.deadline = None  # it is over, and the refusal has none
            raise RefusedError(
                504,
                "deadline",
                f"there was no answer within {self._limits.deadline:g} s, so it was given up",
                "Try again; if it happens often, the service needs more processors.",
                retry=1,
            ) from None

    def _tell(self, scope: Scope, request: str, method: str, status: int, seconds: float) -> None:
        """The access log, and the span: no query, no address of a record, no text."""
        route = _route(scope)
        self._metrics.watch_request(route, status, seconds)
        if self._tracer is not None:
            self._tracer.tell(
                request,
                method,
                route,
                status,
                model=ANSWERING.get(),
                seconds=seconds,
                parent=Headers(scope=scope).get("traceparent"),
            )
        actor = scope.get("state", {}).get("actor", "-")
        _LOG.info("%s %s %s %d %.1f ms %s", request, method, route, status, seconds * 1e3, actor)


def _route(scope: Scope) -> str:
    """The pattern of the path that answered, so that neither ids nor guesses are counted."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "none"))


async def _refuse(scope: Scope, receive: Receive, answer: _Answer, refusal: RefusedError) -> None:
    if answer.started:
        return
    response = problem.respond(
        refusal.status, refusal.code, refusal.message, refusal.hint, headers=refusal.headers
    )
    await response(scope, receive, answer)


def _too_large(limit: int) -> RefusedError:
    return RefusedError(
        413,
        "too_large",
        f"the body has more than {limit} bytes",
        "Send many records as a table to /v1/batch.",
        headers={"Connection": "close"},  # the rest is not read
    )


def _check_length(scope: Scope, limit: int) -> None:
    said = Headers(scope=scope).get("content-length", "")
    if said.isdigit() and int(said) > limit:
        raise _too_large(limit)


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """The whole body; None where the caller hung up before its end."""
    _check_length(scope, limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise _too_large(limit)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise _too_slow(f"the body did not arrive within {_BODY_SECONDS:g} s") from None


def _too_slow(what: str) -> RefusedError:
    return RefusedError(408, "slow_body", what, "Send it again.", headers={"Connection": "close"})


def _counted(scope: Scope, receive: Receive, limit: int) -> Receive:
    """A streamed body, refused where it becomes too large or stops coming."""
    _check_length(scope, limit)
    size = 0

    async def count() -> Message:
        nonlocal size
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            raise _too_slow(f"nothing of the body came for {_BODY_SECONDS:g} s") from None
        size += len(message.get("body", b""))
        if size > limit:
            raise _too_large(limit)
        return message

    return count


class _HungUpError(Exception):
    """The caller went away."""


@contextlib.contextmanager
def _watch(receive: Receive, answer: _Answer) -> Iterator[asyncio.Event]:
    """Cancel the block when the caller hangs up; the event says that it happened."""
    running = asyncio.current_task()
    gone = asyncio.Event()

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        # After the last byte the server says so too, of a caller who is still there.
        if not answer.finished and running is not None:
            gone.set()
            running.cancel()

    watcher = asyncio.create_task(wait())
    try:
        yield gone
    except asyncio.CancelledError:
        if gone.is_set() and running is not None:
            running.uncancel()
            raise _HungUpError from None
        raise
    finally:
        watcher.cancel()


def _replay(body: bytes, gone: asyncio.Event) -> Receive:
    """The body at once, and then, to who still listens, that the caller is gone."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    return receive

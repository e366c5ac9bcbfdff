"""Errors as a protocol of its own has them, wherever in the service they arise."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emrobust.serve import problem

Told = dict[str, Any]


@final
class Dialect:
    """ASGI middleware: what is told as a problem below a path is told in other words.

    Args:
        app: what is inside.
        prefix: of the paths.
        translate: a problem's body → the protocol's.
        media_type: of the protocol's body.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        prefix: str,
        translate: Callable[[Told], Told],
        media_type: str = problem.MEDIA_TYPE,
    ) -> None:
        self._app = app
        self._prefix = prefix
        self._translate = translate
        self._media_type = media_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and rewrite the body of a problem."""
        path = scope.get("path", "")
        if scope["type"] == "http" and f"{path}/".startswith(f"{self._prefix}/"):
            send = _Rewriter(send, self._translate, self._media_type)
        await self._app(scope, receive, send)


class _Rewriter:
    """Holds a problem back until its body is whole; everything else passes."""

    def __init__(self, send: Send, translate: Callable[[Told], Told], media_type: str) -> None:
        self._send = send
        self._translate = translate
        self._media_type = media_type
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
        told = self._translate(json.loads(self._body))
        body = json.dumps(told, ensure_ascii=False).encode()
        kept = [
            (name, value)
            for name, value in start["headers"]
            if name not in (b"content-type", b"content-length")
        ]
        own = [
            (b"content-type", self._media_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await self._send({**start, "headers": [*kept, *own]})
        await self._send({"type": "http.response.body", "body": body})

"""HTTP/1.1 as uvicorn speaks it, with an end to what a request may have besides its body.

uvicorn's httptools protocol keeps headers of any size before anybody asks for a key: a stream of
100 MB of short headers takes 1.5 GB. Here a connection is closed when the head, or the framing and
the trailers of a chunked body, become large.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emrobust.serve import problem

LONGEST = 65_536  # bytes; proxies allow 8 to 32 KB
_REFUSAL = problem.respond(
    431, "head_too_large", f"the request's head has more than {LONGEST} bytes"
)
_HEAD = b"".join(b"%s: %s\r\n" % pair for pair in _REFUSAL.raw_headers)
_TOLD = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n%s\r\n" % _HEAD
    + bytes(_REFUSAL.body)
)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _spare = LONGEST  # bytes that the request may still have besides its body
    _begun = False

    def data_received(self, data: bytes) -> None:
        """Parse what came, then look whether the request has grown too large."""
        self._begun = False
        super().data_received(data)
        if self._begun:  # what came before the request in the same piece is not its
            return
        self._spare -= len(data)
        if self._spare < 0 and not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._begun = True
        self._spare = LONGEST

    def on_body(self, body: bytes) -> None:
        """A body is limited elsewhere; its framing may take as much again."""
        self._spare += 2 * len(body)
        super().on_body(body)

    def _refuse(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_TOLD)
        self.transport.close()

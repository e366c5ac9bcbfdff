"""HTTP/1.1 as uvicorn speaks it, with an end to what a request may have besides its body.

uvicorn's httptools protocol keeps headers of any size before anybody asks for a key: a stream of
100 MB of short headers takes 1.5 GB. Here a connection is closed when the head, or the framing and
the trailers of a chunked body, become large; and when it is not said once which host is meant.
"""

from __future__ import annotations

from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emrobust.serve import problem

LONGEST = 65_536  # bytes; proxies allow 8 to 32 KB
_AROUND = 4  # bytes of a header's line besides its name and value
_HINT = "The connection is closed."


def _tell(status: HTTPStatus, code: str, detail: str) -> bytes:
    """A refusal as it goes over the line, since no application answers."""
    refusal = problem.respond(status, code, detail, _HINT)
    head = b"".join(b"%s: %s\r\n" % pair for pair in refusal.raw_headers)
    start = b"HTTP/1.1 %d %s\r\nconnection: close\r\n" % (status, status.phrase.encode())
    return start + head + b"\r\n" + bytes(refusal.body)


_TOO_LARGE = _tell(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    f"the request's head has more than {LONGEST} bytes",
)
_NO_HTTP = _tell(HTTPStatus.BAD_REQUEST, "no_http", "this is no HTTP request")
_NO_HOST = _tell(
    HTTPStatus.BAD_REQUEST, "host", "a request of HTTP/1.1 has the header Host, and has it once"
)


class _UnfitError(Exception):
    """Stops the parser."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    # A head that is whole is measured by its lines, whatever pieces it comes in; one that never
    # ends by the pieces that come after its first.
    _spare = LONGEST
    _lines = 0
    _begun = False
    _refusal = _NO_HTTP

    def data_received(self, data: bytes) -> None:
        """Parse what came, then look whether the request has grown too large."""
        self._begun = False
        super().data_received(data)
        if self._begun:  # what came before the request in the same piece is not its
            return
        self._spare -= len(data)
        if self._spare < 0 and not self.transport.is_closing():
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._begun = True
        self._spare = LONGEST
        self._lines = 0

    def on_url(self, url: bytes) -> None:
        """The address, or a part of it."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head, or of a chunked body's trailers."""
        self._count(len(name) + len(value) + _AROUND)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole; RFC 9112, section 3.2, says what becomes of one without a host."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() != "1.0"):
            self._stop(_NO_HOST)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A body is limited elsewhere; its framing may take as much again."""
        self._spare += 2 * len(body)
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Refuse what could not be parsed, or was stopped."""
        del msg
        self._refuse(self._refusal)

    def _count(self, size: int) -> None:
        self._lines += size
        if self._lines > LONGEST:
            self._stop(_TOO_LARGE)

    def _stop(self, refusal: bytes) -> None:
        self._refusal = refusal
        raise _UnfitError

    def _refuse(self, refusal: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(refusal)
        self.transport.close()

"""The service as a process: uvicorn around the application, quiet about what it is asked."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Callable

import uvicorn

from emrobust.errors import ConfigError
from emrobust.serve.app import build
from emrobust.serve.protocol import BoundedProtocol
from emrobust.serve.service import Service

_FORMAT = "%(asctime)s %(levelname)s %(message)s"
_BACKLOG = 2048  # connections that wait; uvicorn's own


def run(service: Service, tell: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests that were accepted are answered first.

    Args:
        service: opened.
        tell: is told the address once it is this process's.

    Raises:
        ConfigError: the address is taken, or is none of this machine's.
    """
    server = service.settings.serve
    listening = _listen(server.host, server.port)
    config = uvicorn.Config(
        build(service),
        lifespan="on",
        http=BoundedProtocol,
        access_log=False,  # the shield keeps one without paths
        log_config=None,
        server_header=False,
        ws="none",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=max(int(server.grace), 1),
    )
    logging.basicConfig(level=logging.INFO, format=_FORMAT, stream=sys.stderr)
    host, port = listening.getsockname()[:2]
    tell(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    # uvicorn gives a signal back when it has ended; then there is nothing left to do for it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with listening:
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """A socket at the address, so that who takes port 0 learns which it became.

    It listens from here on: who connects once the address was told waits, and is not turned away.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot listen at {host}:{port} ({error.strerror})",
            "Choose another with --host and --port; --port 0 takes any that is free.",
        ) from None
    return listening

"""What a running service holds; everything that a route needs hangs here."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import Request

from emrobust.errors import ConfigError
from emrobust.serve.catalog import Catalog, Wanted, check, nothing_to_serve
from emrobust.serve.gate import Gate
from emrobust.serve.metrics import Metrics
from emrobust.serve.monitor.monitor import Monitor
from emrobust.serve.settings import ServeSettings, Telemetry
from emrobust.serve.sign_in import TokenReader
from emrobust.serve.store import Store, is_absent, open_store
from emrobust.serve.store.entries import Entry

if TYPE_CHECKING:
    from emrobust.serve.telemetry import Tracer

_MOST_ASIDE = 64
# The model that answers the request at hand, for its span.
ANSWERING: ContextVar[str | None] = ContextVar("answering", default=None)


@dataclass(frozen=True)
class Service:
    """A service: opened before the first request, closed after the last.

    Attributes:
        settings: as read.
        store: what must not be lost.
        catalog: the models.
        gate: who may ask.
        metrics: for Prometheus.
        monitor: looks at what the models are used on.
        tracer: sends a span of each request; None: nowhere.
    """

    settings: ServeSettings
    store: Store
    catalog: Catalog
    gate: Gate
    metrics: Metrics
    monitor: Monitor
    tracer: Tracer | None = None
    _aside: set[asyncio.Task[None]] = field(default_factory=set)

    async def record(self, entry: Entry) -> None:
        """Return when an entry and its row of the audit log are on disk.

        Raises:
            EmrobustError: it could not be stored.
        """
        await asyncio.wrap_future(self.store.submit(entry))

    def look_aside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that no request waits for; it is left out where much of it waits."""
        if len(self._aside) >= _MOST_ASIDE:
            work.close()
            return
        task = asyncio.create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    async def close(self) -> None:
        """Finish what was accepted, then close."""
        await asyncio.gather(*self._aside, return_exceptions=True)
        await self.catalog.close()
        self.gate.close()
        await asyncio.to_thread(self.monitor.close)
        await asyncio.to_thread(self.store.close)
        if self.tracer is not None:
            await asyncio.to_thread(self.tracer.close)


def open_service(settings: ServeSettings, wanted: Sequence[Wanted]) -> Service:
    """Check the packages, then open the store and load the models.

    Raises:
        EmrobustError: a package, the store or a setting cannot be used.
    """
    tracer = _open_tracer(settings.telemetry)
    candidates = [check(one) for one in wanted]
    if not candidates and is_absent(settings.store.url):
        raise nothing_to_serve()
    store = open_store(settings.store)
    try:
        metrics = Metrics()
        catalog = Catalog(store.database, settings, metrics.watch_batch)
        catalog.open(candidates)
        tokens = None if settings.sign_in.issuer is None else TokenReader(settings.sign_in)
        gate = Gate(store.doorkeeper, settings.limits, tokens)
        metrics.watch_queue(lambda: sum(served.batcher.waiting for served in catalog))
        monitor = Monitor(store.database, catalog, settings.monitor)
    except BaseException:
        store.close()
        raise
    return Service(settings, store, catalog, gate, metrics, monitor, tracer)


def _open_tracer(settings: Telemetry) -> Tracer | None:
    if settings.endpoint is None:
        return None
    try:
        from emrobust.serve.telemetry import Tracer  # noqa: PLC0415 - an extra, seldom installed
    except ImportError:
        raise ConfigError(
            "`telemetry.endpoint` needs packages that are not installed",
            'Install them: pip install "emrobust[telemetry]".',
        ) from None
    return Tracer(settings.endpoint, settings.name)


async def of(request: Request) -> Service:
    """The service that answers a request, for ``Depends``.

    A coroutine, since FastAPI would call a function in another thread.
    """
    found: Service = request.app.state.service
    return found

"""Spans for the hospital's own OpenTelemetry collector: one a request.

The service makes them itself, since FastAPI's and the contrib middleware's hold the path, the
query and exceptions, any of which may name a patient. A span has the method, the route's pattern,
the status, the request's id and the model; of what a caller wrote, only the ``traceparent``'s
numbers. Imported only where an endpoint is set: it needs the extra ``telemetry``.
"""

from __future__ import annotations

import time
from typing import final

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from emrobust import __version__

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
_SECONDS = 5.0  # that one export may take
_PARENT = "traceparent"


@final
class Tracer:
    """Sends spans from a thread of its own; what the collector does not take is dropped.

    Args:
        endpoint: of the collector, OTLP over HTTP.
        name: what it calls this service.
    """

    def __init__(self, endpoint: str, name: str) -> None:
        session = requests.Session()
        session.trust_env = False  # past any proxy, and with no password from elsewhere
        session.max_redirects = 0
        resource = Resource({"service.name": name, "service.version": __version__})
        exporter = OTLPSpanExporter(endpoint, timeout=_SECONDS, session=session)
        self._provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("emrobust", __version__)
        self._reader = TraceContextTextMapPropagator()

    def tell(
        self,
        request: str,
        method: str,
        route: str,
        status: int,
        *,
        model: str | None,
        seconds: float,
        parent: str | None,
    ) -> None:
        """Send the span of a request that ends now.

        Args:
            request: its id.
            method: of HTTP.
            route: the pattern of its path.
            status: of HTTP; 0 where the caller hung up.
            model: that answered; None where none did.
            seconds: that it took.
            parent: its header ``traceparent``, so that the caller's trace goes on.
        """
        end = time.time_ns()
        method = method if method in _METHODS else "_OTHER"
        span = self._tracer.start_span(
            f"{method} {route}",
            context=None if parent is None else self._reader.extract({_PARENT: parent}),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
                "emrobust.request": request,
                **({} if model is None else {"emrobust.model": model}),
            },
            start_time=end - round(seconds * 1e9),
        )
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        span.end(end)

    def close(self) -> None:
        """Send what waits, and stop."""
        self._provider.shutdown()

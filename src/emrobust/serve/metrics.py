"""Counters for Prometheus; labels have few values, and none comes from a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["CONTENT_TYPE", "Metrics"]

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128)


@final
class Metrics:
    """One service's numbers.

    Attributes:
        registry: where other parts of the service may add their own.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "emrobust_requests_total",
            "Requests by route and status",
            ("route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "emrobust_request_seconds",
            "From the first byte to the last, by route",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batch = Histogram(
            "emrobust_batch_texts", "Texts of a batch", ("model",), buckets=_TEXTS,
            registry=self.registry,
        )  # fmt: skip
        self._waited = Histogram(
            "emrobust_queue_seconds", "Wait of a batch's oldest text", ("model",),
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._computed = Histogram(
            "emrobust_model_seconds", "Computing of a batch", ("model",),
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._hung_up = Counter(
            "emrobust_hung_up_total", "Requests whose caller went away", registry=self.registry
        )
        self._queue = Gauge(
            "emrobust_queue_texts", "Texts that wait for a model", registry=self.registry
        )

    def watch_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request by its route's pattern, never by its path."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def watch_batch(self, model: str, size: int, waited: float, spent: float) -> None:
        """Count a batch."""
        self._batch.labels(model).observe(size)
        self._waited.labels(model).observe(max(waited, 0.0))
        self._computed.labels(model).observe(spent)

    def watch_queue(self, length: Callable[[], int]) -> None:
        """Ask for the queue's length whenever it is read."""
        self._queue.set_function(lambda: float(length()))

    def watch_hang_up(self) -> None:
        """Count a caller who went away."""
        self._hung_up.inc()

    def text(self) -> bytes:
        """All numbers, as Prometheus reads them."""
        return bytes(generate_latest(self.registry))

"""``/v1/monitor``: load, drift, calibration and feedback of a model, for a reviewer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Query
from prometheus_client.core import GaugeMetricFamily, Metric

from emrobust.serve import problem
from emrobust.serve import service as room
from emrobust.serve.gate import Reviewer
from emrobust.serve.monitor.level import rank
from emrobust.serve.monitor.monitor import Monitor
from emrobust.serve.monitor.report import Report


class _Gauge:
    """The level of each check for Prometheus: 0 calm or unknown, 1 watch, 2 alarm."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def collect(self) -> Iterable[Metric]:
        """What the registry asks for."""
        family = GaugeMetricFamily(
            "emrobust_alarm_level", "0 calm, 1 watch, 2 alarm", labels=("model", "check")
        )
        for (model, check), level in self._monitor.levels().items():
            family.add_metric((model, check), max(rank(level) - 1, 0))
        yield family


@asynccontextmanager
async def _live(app: FastAPI) -> AsyncIterator[None]:
    service: room.Service = app.state.service
    gauge = _Gauge(service.monitor)
    service.metrics.registry.register(gauge)
    yield


router = APIRouter(tags=["monitor"], lifespan=_live)


@router.get(
    "/v1/monitor",
    response_model_exclude_none=True,
    responses=problem.responses(*problem.GUARDED, 404, 422),
)
async def show_monitor(
    caller: Reviewer,
    service: Annotated[room.Service, Depends(room.of)],
    hours: Annotated[int, Query(ge=1, le=720, description="to look back on")] = 24,
    model: Annotated[
        str | None, Query(min_length=1, max_length=400, description="name or name@version")
    ] = None,
) -> Report:
    """Tell how a model is used, and whether it still fits what it is used on."""
    del caller
    return await asyncio.to_thread(service.monitor.report, model, hours)

"""``/metrics``: numbers for Prometheus."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials

from emrobust.serve import gate, problem
from emrobust.serve import service as room
from emrobust.serve.metrics import CONTENT_TYPE

router = APIRouter(tags=["service"])
Service = Annotated[room.Service, Depends(room.of)]


async def _may_read(
    request: Request,
    service: Service,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(gate.BEARER)],
    header: Annotated[str | None, Security(gate.HEADER)],
) -> None:
    """Reviewers, or everybody where the setting says so."""
    if not service.settings.serve.open_metrics:
        await gate.reviewer(await gate.ask(request, bearer, header))


@router.get(
    "/metrics",
    dependencies=[Depends(_may_read)],
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **problem.responses(*problem.GUARDED),
    },
)
async def show_metrics(service: Service) -> Response:
    """Requests, latencies, queue, batches."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)

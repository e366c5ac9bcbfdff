"""The application: every router of ``routes/``, behind the shield, with errors as problems."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
from collections.abc import AsyncIterator, Iterator
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.cors import CORSMiddleware

from emrobust import __version__
from emrobust.serve import evidence, problem, routes
from emrobust.serve.admission import Admission
from emrobust.serve.dialect import Dialect
from emrobust.serve.fhir import outcome, writing
from emrobust.serve.routes import kserve
from emrobust.serve.service import Service
from emrobust.serve.shield import Shield


def build(service: Service) -> FastAPI:
    """The application around an opened service, which it closes when it ends."""
    app = FastAPI(
        title="emrobust",
        version=__version__,
        summary="Assisted diagnosis from outpatient notes, on the hospital's own machines.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # the address would be made from what the caller says in Host
        lifespan=_live,
        # FastAPI's own spans hold paths and queries, and an environment variable switches them on.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.service = service
    problem.install(app)
    routers = list(find_routers())
    for router in routers:
        app.include_router(router)
    app.state.routes = [route for router in routers for route in router.routes]
    settings = service.settings
    limits = settings.limits
    admission = Admission(
        app.state.routes, wait=limits.wait, least=limits.batch, most=limits.queue + limits.batch
    )
    # The last one added stands outermost.
    app.add_middleware(
        Shield,
        limits=limits,
        metrics=service.metrics,
        admission=admission,
        tracer=service.tracer,
    )
    app.add_middleware(
        Dialect, prefix="/fhir", translate=outcome.of_problem, media_type=writing.MEDIA_TYPE
    )
    app.add_middleware(Dialect, prefix="/v2", translate=kserve.of_problem)
    if settings.serve.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.serve.origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            max_age=600,
        )
    return app


def find_routers() -> Iterator[APIRouter]:
    """The ``router`` of each file in ``routes/``: one file, one family of paths, no list."""
    for found in sorted(module.name for module in pkgutil.iter_modules(routes.__path__)):
        yield importlib.import_module(f"{routes.__name__}.{found}").router


@contextlib.asynccontextmanager
async def _live(app: FastAPI) -> AsyncIterator[None]:
    """The routers' own lifespans run inside of this one."""
    service: Service = app.state.service
    service.look_aside(_warm(service))
    try:
        yield
    finally:
        await service.close()


async def _warm(service: Service) -> None:
    """Load what only explanations need, once the service answers, before somebody waits for it."""

    def load() -> None:
        list(evidence.split("胸闷", "word"))
        for served in service.catalog:
            served.package.missing(served.package.names[0], "胸闷")

    await asyncio.to_thread(load)


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the body of every error."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes
        )
        parts = schema.setdefault("components", {}).setdefault("schemas", {})
        template = "#/components/schemas/{model}"
        made = problem.Problem.model_json_schema(ref_template=template)
        parts.update(made.pop("$defs", {}))
        parts["Problem"] = made
        app.openapi_schema = schema
    return app.openapi_schema

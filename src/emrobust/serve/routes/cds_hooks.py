"""``/cds-services``: CDS Hooks 2.0, for the hooks patient-view and encounter-start."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Security
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials

from emrobust.errors import NotFoundError
from emrobust.serve import cds, cds_feedback, gate, problem
from emrobust.serve import service as room
from emrobust.serve.admission import scored
from emrobust.serve.caller import Caller
from emrobust.serve.cds_clients import ClientTokens
from emrobust.serve.consultation import Asked, consult
from emrobust.serve.fhir.resources import ResourceError
from emrobust.serve.json_body import JsonRoute
from emrobust.serve.problem import Mistake, RefusedError
from emrobust.serve.settings import ServeSettings
from emrobust.serve.store.entries import LONGEST
from emrobust.serve.suggestions import advise


@contextlib.asynccontextmanager
async def _trust(app: FastAPI) -> AsyncIterator[None]:
    """Which clients' own tokens are taken."""
    settings: ServeSettings = app.state.service.settings
    own = settings.cds_hooks
    app.state.cds_clients = ClientTokens(own, settings.serve.address) if own.issuer else None
    yield


router = APIRouter(tags=["cds hooks"], lifespan=_trust, route_class=JsonRoute)
Service = Annotated[room.Service, Depends(room.of)]


async def _ask(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(gate.BEARER)],
    header: Annotated[str | None, Security(gate.HEADER)],
) -> Caller:
    """The caller: a client by its own token, else by a key or the sign-in."""
    tokens: ClientTokens | None = request.app.state.cds_clients
    if tokens is None or bearer is None or not tokens.is_meant(bearer.credentials):
        return await gate.ask(request, bearer, header)
    address = request.client.host if request.client else ""
    read = functools.partial(tokens.admit, bearer.credentials, request.url.path)
    doorman: gate.Gate = request.app.state.service.gate
    caller = doorman.admit_by(read, address)
    request.state.actor = caller.actor  # for the access log
    return caller


# Every role may do what a clinician may.
Client = Annotated[Caller, Depends(_ask)]
_MOST = 5  # labels of a card's table
_OBJECT = {"content": {"application/json": {"schema": {"type": "object"}}}}


@router.get("/cds-services", responses={200: _OBJECT, **problem.responses(429)})
async def discover(service: Service) -> dict[str, Any]:
    """List the services; open to all, as discovery is."""
    return cds.services(str(service.catalog.find().package.facts["language"]))


@router.post(
    "/cds-services/{name}",
    responses={200: _OBJECT, **problem.responses(*problem.ANSWERED, 412)},
    response_model=None,
)
@scored
async def call(
    name: str, asked: cds.Call, caller: Client, service: Service
) -> dict[str, Any] | Response:
    """Answer a hook with a card. What is not prefetched is not fetched: 412."""
    wanted = cds.service_of(name)
    try:
        note = await asyncio.to_thread(cds.read, asked, wanted)
    except ResourceError as error:
        return refuse(error)
    served = service.catalog.find()
    who = _in_the_name_of(caller, asked.context.userId)
    text = note.text(str(served.package.facts["language"]))
    question = Asked(text=text, record_id=note.record_id, model=served.full_name)
    try:
        async with asyncio.timeout(cds.SECONDS):
            found = await consult(service, who, question)
    except TimeoutError:
        raise RefusedError(
            504,
            "deadline",
            f"there was no answer within {cds.SECONDS} s, for which a client waits",
            "Call again when the chart is opened anew.",
            retry=1,
        ) from None
    card = cds.card(advise(found, _MOST), note, service.settings.serve.address or "")
    return {"cards": [card]}


@router.post(
    "/cds-services/{name}/feedback",
    responses={
        200: {"description": "Recorded", "content": {}},
        **problem.responses(*problem.ANSWERED),
    },
    response_class=Response,
)
async def take_feedback(
    name: str, outcomes: cds_feedback.Outcomes, caller: Client, service: Service
) -> Response:
    """Record what became of cards, all of them or, where one is unknown, none."""
    cds.service_of(name)
    entries = []
    for one in outcomes.feedback:
        row = await asyncio.to_thread(service.store.prediction, str(one.card))
        exclusive = _is_exclusive(service, str(row["model"]))
        told = cds_feedback.verdict(one, row, caller.actor, exclusive=exclusive)
        entries += [entry for entry in told if entry is not None]
    await asyncio.gather(*map(service.record, entries))
    return Response(status_code=200)


def _is_exclusive(service: room.Service, model: str) -> bool:
    """Whether only one of a model's labels can be right; of a retired model nobody knows."""
    try:
        return service.catalog.find(model).package.task == "single"
    except NotFoundError:
        return False


def refuse(error: ResourceError) -> Response:
    """A resource's mistake as a problem, with where it is."""
    mistakes = [Mistake(where=where, what=error.message) for where in error.where]
    return problem.respond(422, "resource", error.message, error.hint, errors=mistakes)


def _in_the_name_of(caller: Caller, user: str) -> Caller:
    """The log names the system that asked, and the person that it asked for."""
    return replace(caller, actor=f"{caller.actor} {user}"[:LONGEST])

"""``/cds-services``: CDS Hooks 2.0, for the hooks patient-view and encounter-start."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from emrobust.serve import cds, problem
from emrobust.serve import service as room
from emrobust.serve.consultation import Asked, consult
from emrobust.serve.fhir.resources import ResourceError
from emrobust.serve.gate import Caller, Clinician
from emrobust.serve.problem import Mistake, RefusedError
from emrobust.serve.store.entries import LONGEST
from emrobust.serve.suggestions import advise

router = APIRouter(tags=["cds hooks"])
Service = Annotated[room.Service, Depends(room.of)]
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
async def call(
    name: str, asked: cds.Call, caller: Clinician, service: Service
) -> dict[str, Any] | Response:
    """Answer a hook with a card. What is not prefetched is not fetched: 412."""
    wanted = cds.service_of(name)
    try:
        note = cds.read(asked, wanted)
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
    name: str, outcomes: cds.Outcomes, caller: Clinician, service: Service
) -> Response:
    """Record what became of cards, all of them or, where one is unknown, none."""
    cds.service_of(name)
    entries = []
    for one in outcomes.feedback:
        row = await asyncio.to_thread(service.store.prediction, str(one.card))
        entries += [entry for entry in cds.verdict(one, row, caller.actor) if entry is not None]
    await asyncio.gather(*map(service.record, entries))
    return Response(status_code=200)


def refuse(error: ResourceError) -> Response:
    """A resource's mistake as a problem, with where it is."""
    mistakes = [Mistake(where=where, what=error.message) for where in error.where]
    return problem.respond(422, "resource", error.message, error.hint, errors=mistakes)


def _in_the_name_of(caller: Caller, user: str) -> Caller:
    """The log names the system that asked, and the person that it asked for."""
    return replace(caller, actor=f"{caller.actor} {user}"[:LONGEST])

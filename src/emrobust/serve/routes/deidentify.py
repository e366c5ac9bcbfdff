"""``/v1/deidentify``: a text without its identifiers; nothing of it is kept."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Annotated, Self

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, model_validator

from emrobust.config import Deid
from emrobust.serve import problem, reading
from emrobust.serve import service as room
from emrobust.serve.gate import Clinician
from emrobust.serve.json_body import JsonRoute
from emrobust.serve.store import Event

if TYPE_CHECKING:
    from emrobust.deid.treatment import Treated, Treatment

router = APIRouter(tags=["de-identification"], route_class=JsonRoute)
Service = Annotated[room.Service, Depends(room.of)]
FieldName = Annotated[str, Field(min_length=1, max_length=100)]
_MOST_FIELDS = 50


class DeidentifyAsked(BaseModel):
    """A text, or texts by field."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = None
    fields: dict[FieldName, str] | None = Field(None, max_length=_MOST_FIELDS)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.text is None) == (self.fields is None):
            raise ValueError("give either text or fields")
        return self


class Span(BaseModel):
    """Where an identifier was, in characters of what was sent."""

    model_config = ConfigDict(extra="forbid")

    start: int
    end: int
    kind: str
    field: str | None = None


class Deidentified(BaseModel):
    """The same with a placeholder for each identifier."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = None
    fields: dict[str, str] | None = None
    spans: list[Span]
    remaining: int = Field(
        description="direct identifiers that a second search by other means still finds; "
        "look at the text where it is not 0"
    )


@router.post(
    "/v1/deidentify",
    response_model_exclude_none=True,
    responses=problem.responses(400, 401, 403, 408, 413, 415, 422, 429, 503, 504, 507),
)
async def deidentify(asked: DeidentifyAsked, caller: Clinician, service: Service) -> Deidentified:
    """Replace each identifier by a placeholder for its kind."""
    given = {"": asked.text} if asked.text is not None else asked.fields or {}
    reading.check_characters("".join(given.values()), service.settings.limits.characters)
    treated = await asyncio.to_thread(lambda: {name: _treat(given[name]) for name in given})
    spans = [
        Span(start=done.span.start, end=done.span.end, kind=done.span.kind, field=name or None)
        for name, one in treated.items()
        for done in one.decisions
    ]
    remaining = sum(len(one.leaks) for one in treated.values())
    detail = {"characters": sum(map(len, given.values())), "found": len(spans), "left": remaining}
    await service.record(Event(actor=caller.actor, action="deidentified", detail=detail))
    texts = {name: one.text for name, one in treated.items()}
    return Deidentified(
        text=texts[""] if asked.text is not None else None,
        fields=None if asked.text is not None else texts,
        spans=spans,
        remaining=remaining,
    )


def _treat(text: str) -> Treated:
    from emrobust.deid.operator import Subject  # noqa: PLC0415 - see `_treatment`

    return _treatment().treat(text, {}, Subject(""))


@functools.cache
def _treatment() -> Treatment:
    """All detectors, and placeholders: surrogates need a key, and the hospital's stays at home."""
    # Late: the detectors take a second to load, and few services are asked for them.
    from emrobust.deid.rows import Task, Worker  # noqa: PLC0415

    return Worker(Task(Deid(enabled=True), None)).treatment

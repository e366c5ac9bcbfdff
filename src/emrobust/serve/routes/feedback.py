"""``/v1/feedback``: what a doctor thinks of a prediction."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, model_validator

from emrobust.errors import NotFoundError
from emrobust.serve import problem
from emrobust.serve import service as room
from emrobust.serve.gate import Clinician
from emrobust.serve.json_body import JsonRoute
from emrobust.serve.problem import RefusedError
from emrobust.serve.store import Feedback
from emrobust.serve.store.entries import LONGEST, TRIAGE

router = APIRouter(tags=["feedback"], route_class=JsonRoute)
Service = Annotated[room.Service, Depends(room.of)]
Label = Annotated[str, Field(min_length=1, max_length=LONGEST, pattern=r"^[^\x00-\x1f\x7f]+$")]
_MOST_LABELS, _LONGEST_COMMENT = 50, 2000


class FeedbackGiven(BaseModel):
    """A verdict; ``labels`` are what is right where the prediction is changed."""

    model_config = ConfigDict(extra="forbid")

    prediction: str = Field(min_length=1, max_length=36, description="its id")
    verdict: Literal["accepted", "changed", "rejected"]
    labels: list[Label] = Field([], max_length=_MOST_LABELS)
    comment: str | None = Field(
        None, max_length=_LONGEST_COMMENT, description="kept, sealed, where texts are kept at all"
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.verdict == "changed") != bool(self.labels):
            raise ValueError("labels are given where a prediction is changed, and only there")
        return self


class FeedbackTaken(BaseModel):
    """Feedback that is on disk."""

    model_config = ConfigDict(extra="forbid")

    id: str


@router.post(
    "/v1/feedback",
    status_code=201,
    responses=problem.responses(400, 401, 403, 404, 408, 413, 415, 422, 429, 503, 504, 507),
)
async def take_feedback(given: FeedbackGiven, caller: Clinician, service: Service) -> FeedbackTaken:
    """Record a verdict on a prediction."""
    row = await asyncio.to_thread(service.store.prediction, given.prediction)
    if given.verdict == "accepted":
        _check_acceptable(row)
    _check(given.labels, str(row["model"]), service)
    entry = Feedback(
        actor=caller.actor,
        prediction=given.prediction,
        verdict=given.verdict,
        labels=tuple(dict.fromkeys(given.labels)),
        comment=given.comment,
    )
    await service.record(entry)
    return FeedbackTaken(id=entry.id)


def _check_acceptable(row: Mapping[str, Any]) -> None:
    """Refuse to take for a doctor's word what the service did not say."""
    result = json.loads(row["result"])
    if row["task"] == TRIAGE:
        said = "that answer told departments, and no diagnosis"
    elif result["shadow"]:
        said = "a shadow version's prediction is shown to nobody"
    elif result["abstained"] or not result["chosen"]:
        said = "the model was not sure and chose nothing that could be accepted"
    else:
        return
    raise RefusedError(
        422,
        "nothing_to_accept",
        said,
        "Send `changed` with the labels that are right, or `rejected`.",
    )


def _check(labels: list[str], model: str, service: room.Service) -> None:
    """Refuse labels that the model does not know; of a retired model nobody knows them."""
    try:
        known = set(service.catalog.find(model).package.names)
    except NotFoundError:
        return
    if not set(labels) <= known:
        raise RefusedError(
            422,
            "unknown_label",
            "a label is none of the model's",
            "GET /v1/models/NAME/labels lists them.",
        )

"""``/v1/diagnose``: ranked labels with calibrated probabilities, a prediction set, abstention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from emrobust.serve import evidence, problem
from emrobust.serve import service as room
from emrobust.serve.admission import scored
from emrobust.serve.consultation import Asked, Consultation, consult
from emrobust.serve.gate import Clinician
from emrobust.serve.json_body import JsonRoute
from emrobust.serve.reading import Reading

router = APIRouter(tags=["diagnosis"], route_class=JsonRoute)
Service = Annotated[room.Service, Depends(room.of)]
_DIGITS = 6
_MOST_EXPLAINED = 5


class DiagnoseAsked(Asked):
    """A note, and how much is asked of it."""

    top: int = Field(10, ge=1, le=1000, description="labels to show")
    coverage: float | None = Field(None, gt=0, lt=1, description="one of the model's guarantees")
    evidence: bool = Field(False, description="add what in the text speaks for each chosen label")


class ModelName(BaseModel):
    """Which model answered."""

    model_config = ConfigDict(extra="forbid")

    name: str
    version: str


class Part(BaseModel):
    """A range of characters as they were sent."""

    model_config = ConfigDict(extra="forbid")

    start: int
    end: int
    field: str | None = Field(None, description="where fields were sent")


class Mark(Part):
    """A range of characters, and how much it speaks for a label."""

    weight: float = Field(description="fall of the label's log odds without it")


class LabelFound(BaseModel):
    """A label and what the model says of it."""

    model_config = ConfigDict(extra="forbid")

    label: str
    title: dict[str, str] | None = Field(None, description="by language")
    codes: list[str] = Field(description="ICD-10")
    probability: float = Field(ge=0, le=1, description="calibrated")
    chosen: bool = Field(description="decided for")
    in_set: bool | None = Field(None, description="whether it is in the prediction set")
    evidence: list[Mark] | None = None


class SetFound(BaseModel):
    """A prediction set, which holds the true labels as often as it says."""

    model_config = ConfigDict(extra="forbid")

    coverage: float
    labels: list[str]


class Diagnosed(BaseModel):
    """What the model says of a note."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(description="of this prediction; feedback names it")
    model: ModelName
    record_id: str | None = None
    labels: list[LabelFound] = Field(description="the likeliest first")
    set: SetFound | None = None
    abstained: bool
    reasons: list[str] = Field(description="nothing_chosen, set_too_wide, low_confidence")
    warnings: list[str] = Field(description="too_short, too_long, other_language, empty_field")
    unread: list[Part] | None = Field(None, description="what the model left out, where too_long")
    seconds: float


@router.post(
    "/v1/diagnose",
    response_model=Diagnosed,
    response_model_exclude_none=True,
    responses=problem.responses(*problem.ANSWERED),
)
@scored
async def diagnose(asked: DiagnoseAsked, caller: Clinician, service: Service) -> Diagnosed:
    """Rank the diagnoses of a note. It is recorded before it is answered."""
    found = await consult(service, caller, asked, coverage=asked.coverage)
    marks = await _weigh(found) if asked.evidence else {}
    return shown(found, asked, marks)


async def _weigh(found: Consultation) -> dict[int, list[Mark]]:
    """The evidence for the chosen labels, else for the likeliest, by column."""
    ranked = [int(column) for column in found.diagnosis.ranked()]
    chosen = [column for column in ranked if found.diagnosis.chosen[column]]
    columns = chosen[:_MOST_EXPLAINED] or ranked[:1]
    weights = await evidence.weigh(found.served, found.reading, columns, "clause")
    return dict(zip(columns, map(marks_of, weights), strict=True))


def marks_of(weights: Sequence[evidence.Weight]) -> list[Mark]:
    """Weights as the API gives them."""
    return [Mark(start=w.start, end=w.end, weight=w.weight, field=w.field) for w in weights]


def shown(found: Consultation, asked: DiagnoseAsked, marks: Mapping[int, list[Mark]]) -> Diagnosed:
    """A consultation as the API gives it."""
    diagnosis, names = found.diagnosis, found.served.package.names
    ranked = diagnosis.ranked()
    inside = diagnosis.inside
    return Diagnosed(
        id=found.id,
        model=model_of(found),
        record_id=asked.record_id,
        labels=[
            _label(found, int(column), marks.get(int(column))) for column in ranked[: asked.top]
        ],
        set=None
        if inside is None or diagnosis.coverage is None
        else SetFound(coverage=diagnosis.coverage, labels=[names[k] for k in ranked if inside[k]]),
        abstained=diagnosis.abstained,
        reasons=list(diagnosis.reasons),
        warnings=list(found.reading.warnings),
        unread=_unread(found.reading),
        seconds=round(found.seconds, _DIGITS),
    )


def _unread(read: Reading) -> list[Part] | None:
    places = read.places(read.extent, len(read.text))
    return [Part(start=at.start, end=at.end, field=at.field) for at in places] or None


def model_of(found: Consultation) -> ModelName:
    """The name of the model that answered."""
    return ModelName(name=found.served.version.name, version=found.served.version.version)


def _label(found: Consultation, column: int, marks: list[Mark] | None) -> LabelFound:
    known = found.served.package.labels[column]
    inside: np.ndarray | None = found.diagnosis.inside
    return LabelFound(
        label=known["name"],
        title=known["titles"] or None,
        codes=known["codes"],
        probability=round(float(found.diagnosis.probability[column]), _DIGITS),
        chosen=bool(found.diagnosis.chosen[column]),
        in_set=None if inside is None else bool(inside[column]),
        evidence=marks,
    )

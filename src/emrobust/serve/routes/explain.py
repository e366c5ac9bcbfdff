"""``/v1/explain``: what in a note speaks for a label, what is missing, which cases are like it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from emrobust.errors import did_you_mean
from emrobust.serve import evidence, problem
from emrobust.serve import service as room
from emrobust.serve.admission import scored
from emrobust.serve.consultation import Asked, Consultation, Name, consult
from emrobust.serve.gate import Clinician
from emrobust.serve.json_body import JsonRoute
from emrobust.serve.problem import RefusedError
from emrobust.serve.routes.diagnose import Mark, ModelName, marks_of, model_of

router = APIRouter(tags=["diagnosis"], route_class=JsonRoute)
Service = Annotated[room.Service, Depends(room.of)]
_DIGITS = 6


class ExplainAsked(Asked):
    """A note, and the labels to explain."""

    labels: list[Name] | None = Field(
        None, min_length=1, max_length=5, description="absent: the chosen ones, else the likeliest"
    )
    unit: Literal["word", "clause"] = Field("clause", description="pieces that are weighed")


class MissingFinding(BaseModel):
    """A typical finding of a label that the note does not state."""

    model_config = ConfigDict(extra="forbid")

    finding: str
    probability: float = Field(ge=0, le=1, description="share of the label's notes that state it")
    state: Literal["absent", "denied"]


class SimilarCase(BaseModel):
    """A case that may be shown."""

    model_config = ConfigDict(extra="forbid")

    text: str
    labels: list[str]
    similarity: float = Field(ge=0, le=1)


class LabelExplained(BaseModel):
    """A label and what it rests on."""

    model_config = ConfigDict(extra="forbid")

    label: str
    probability: float = Field(ge=0, le=1)
    evidence: list[Mark]
    missing: list[MissingFinding] | None = None
    similar: list[SimilarCase] | None = None


class Explained(BaseModel):
    """Why a model says what it says."""

    model_config = ConfigDict(extra="forbid")

    id: str
    model: ModelName
    explained: list[LabelExplained]
    method: Literal["occlusion"] = "occlusion"
    warnings: list[str]


@router.post(
    "/v1/explain",
    response_model_exclude_none=True,
    responses=problem.responses(*problem.ANSWERED),
)
@scored
async def explain(asked: ExplainAsked, caller: Clinician, service: Service) -> Explained:
    """Weigh the pieces of a note for some labels."""
    served = service.catalog.find(asked.model)
    wanted = [_column(served.package.names, label) for label in asked.labels or ()]
    found = await consult(service, caller, asked, task="explain")
    columns = wanted or _told(found)
    weights = await evidence.weigh(found.served, found.reading, columns, asked.unit)
    rest = await asyncio.to_thread(_surroundings, found, columns)
    return Explained(
        id=found.id,
        model=model_of(found),
        explained=[
            LabelExplained(
                label=served.package.names[column],
                probability=round(float(found.diagnosis.probability[column]), _DIGITS),
                evidence=marks_of(of_label),
                missing=missing,
                similar=similar,
            )
            for column, of_label, (missing, similar) in zip(columns, weights, rest, strict=True)
        ],
        warnings=list(found.reading.warnings),
    )


def _column(names: tuple[str, ...], label: str) -> int:
    if label not in names:
        raise RefusedError(422, "unknown_label", "the model has no such label", _near(label, names))
    return names.index(label)


def _near(label: str, names: tuple[str, ...]) -> str:
    """A suggestion; the whole list would be long."""
    meant = did_you_mean(label, names)
    return meant if meant.startswith("Did") else "See GET /v1/models/{name}/labels."


def _told(found: Consultation) -> list[int]:
    """The chosen labels, at most five; else the likeliest."""
    ranked = [int(column) for column in found.diagnosis.ranked()]
    return [column for column in ranked if found.diagnosis.chosen[column]][:5] or ranked[:1]


def _surroundings(
    found: Consultation, columns: list[int]
) -> list[tuple[list[MissingFinding] | None, list[SimilarCase] | None]]:
    """What is missing for each label, and cases like the text that have it."""
    package, text = found.served.package, found.reading.text
    cases = None if package.cases is None else package.similar(text, 20)
    told = []
    for name in (package.names[column] for column in columns):
        missing = [
            MissingFinding(finding=one.term, probability=min(one.share, 1.0), state=one.state)
            for one in package.missing(name, text)
        ]
        similar = None if cases is None else [
            SimilarCase(text=case.text, labels=list(case.labels), similarity=case.similarity)
            for case in cases
            if name in case.labels
        ][:3]  # fmt: skip
        told.append((missing if package.findings else None, similar))
    return told

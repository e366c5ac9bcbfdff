"""``/v1/models/{name}/measures``: what was measured of a model before it came into the clinic."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from emrobust import runs
from emrobust.package import layout
from emrobust.serve import problem
from emrobust.serve import service as room
from emrobust.serve.gate import Clinician

router = APIRouter(tags=["models"])


class Bin(BaseModel):
    """Decisions of about one stated probability."""

    model_config = ConfigDict(extra="forbid")

    stated: float
    true: float
    count: int


class SetMeasured(BaseModel):
    """What prediction sets promise, and what they held on test records."""

    model_config = ConfigDict(extra="forbid")

    target: float
    coverage: float | None = None
    mean: float | None = None


class SuiteMeasured(BaseModel):
    """Micro-F1 on texts that were changed, and on the same records as they were."""

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: str
    records: int
    standard: float
    changed: float


class GroupMeasured(BaseModel):
    """A group of patients; its gap to the others in micro-F1, with an interval."""

    model_config = ConfigDict(extra="forbid")

    aspect: str
    value: str
    patients: int
    micro_f1: float
    gap: float
    low: float | None = None
    high: float | None = None


class Measures(BaseModel):
    """All that the package tells; what it does not tell is empty."""

    model_config = ConfigDict(extra="forbid")

    records: int | None = None
    patients: int | None = None
    scores: dict[str, float] = {}
    interval: dict[str, tuple[float, float]] = {}
    reliability: list[Bin] = []
    sets: list[SetMeasured] = []
    suites: list[SuiteMeasured] = []
    groups: list[GroupMeasured] = []


@router.get(
    "/v1/models/{name}/measures",
    response_model=Measures,
    response_model_exclude_none=True,
    responses=problem.responses(*problem.GUARDED, 404),
)
async def show_measures(
    name: str, caller: Clinician, service: Annotated[room.Service, Depends(room.of)]
) -> Measures:
    """Scores, calibration, robustness and fairness on test records."""
    del caller
    folder = service.catalog.find(name).package.folder
    return await asyncio.to_thread(read_measures, folder)


def read_measures(folder: Path) -> Measures:
    """The measures of a package."""
    told = folder / layout.MEASURED
    found: dict[str, Any] = runs.read_json(told) if told.is_file() else {}
    saved = runs.read_json(folder / layout.CONFORMAL)["sets"]
    sets = [
        {"target": row["target"]}
        | {key: row["measured"][key] for key in ("coverage", "mean") if "measured" in row}
        for row in saved
    ]
    return Measures.model_validate({**found, "sets": sets})

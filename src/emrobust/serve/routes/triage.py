"""``/v1/triage``: which department a patient should be seen in."""

from __future__ import annotations

import re
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from emrobust.package import Package
from emrobust.serve import problem
from emrobust.serve import service as room
from emrobust.serve.admission import scored
from emrobust.serve.consultation import Asked, consult
from emrobust.serve.gate import Clinician
from emrobust.serve.json_body import JsonRoute
from emrobust.serve.problem import RefusedError
from emrobust.serve.routes.diagnose import ModelName, model_of
from emrobust.serve.store.entries import TRIAGE

router = APIRouter(tags=["diagnosis"], route_class=JsonRoute)
Service = Annotated[room.Service, Depends(room.of)]
_DIGITS = 6
# Labels that are departments themselves say so by their names.
_DEPARTMENT = re.compile(r"(科|门诊|中心|室)\Z|\b(clinic|department)\b", re.IGNORECASE)


class DepartmentFound(BaseModel):
    """A department and how likely it is the right one."""

    model_config = ConfigDict(extra="forbid")

    department: str
    probability: float = Field(ge=0, le=1)


class Triaged(BaseModel):
    """Departments, the likeliest first."""

    model_config = ConfigDict(extra="forbid")

    id: str
    model: ModelName
    record_id: str | None = None
    departments: list[DepartmentFound]
    abstained: bool
    reasons: list[str]
    warnings: list[str]
    seconds: float


class TriageAsked(Asked):
    """A note, and how many departments to show."""

    top: int = Field(10, ge=1, le=1000)


@router.post(
    "/v1/triage",
    response_model=Triaged,
    response_model_exclude_none=True,
    responses=problem.responses(*problem.ANSWERED),
)
@scored
async def triage(asked: TriageAsked, caller: Clinician, service: Service) -> Triaged:
    """Rank the departments for a note."""
    package = service.catalog.find(asked.model).package
    if not knows_departments(package):
        raise RefusedError(
            404,
            "no_departments",
            "this model knows no departments",
            "Export it from records that have a department; see docs/package.md.",
        )
    found = await consult(service, caller, asked, task=TRIAGE)
    diagnosis = found.diagnosis
    names, shares = _refer(found.served.package, diagnosis.probability)
    order = np.argsort(-shares, kind="stable")[: asked.top]
    return Triaged(
        id=found.id,
        model=model_of(found),
        record_id=asked.record_id,
        departments=[
            DepartmentFound(department=names[k], probability=round(float(shares[k]), _DIGITS))
            for k in order
        ],
        abstained=diagnosis.abstained,
        reasons=list(diagnosis.reasons),
        warnings=list(found.reading.warnings),
        seconds=round(found.seconds, _DIGITS),
    )


def knows_departments(package: Package) -> bool:
    """Whether a package has departments, or its labels are some."""
    named = package.task == "single" and all(_DEPARTMENT.search(name) for name in package.names)
    return named or package.departments is not None


def _refer(package: Package, probability: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    if package.departments is None:
        return package.names, probability
    shares = package.departments.refer(probability[None])[0]
    return package.departments.names, shares.clip(0.0, 1.0)

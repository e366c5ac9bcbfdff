"""``/v1/me``: who the caller is to the service."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from emrobust.serve import problem
from emrobust.serve import service as room
from emrobust.serve.gate import Clinician
from emrobust.serve.store.keys import Role

router = APIRouter(tags=["service"])


class Me(BaseModel):
    """Who asks."""

    model_config = ConfigDict(extra="forbid")

    name: str
    role: Role
    keeps_text: bool = Field(description="whether the hospital keeps texts, sealed")
    languages: list[str] = Field(description="of the models that answer")


@router.get("/v1/me", responses=problem.responses(*problem.GUARDED))
async def show_me(caller: Clinician, service: Annotated[room.Service, Depends(room.of)]) -> Me:
    """Tell whose the key is, and what the service does with texts."""
    languages = {
        str(served.package.facts["language"])
        for served in service.catalog
        if served.version.state == "active"
    }
    return Me(
        name=caller.name,
        role=caller.role,
        keeps_text=service.store.keeps_text,
        languages=sorted(languages),
    )

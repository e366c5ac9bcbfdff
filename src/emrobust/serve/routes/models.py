"""``/v1/models``: which models there are, side by side, and which version of each answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from emrobust.errors import ConfigError, InUseError, NotFoundError, StoreError
from emrobust.serve import problem
from emrobust.serve import service as room
from emrobust.serve.catalog import Served, Wanted
from emrobust.serve.gate import Administrator, Clinician
from emrobust.serve.json_body import JsonRoute
from emrobust.serve.problem import RefusedError
from emrobust.serve.routes.triage import knows_departments
from emrobust.serve.store.versions import State

router = APIRouter(tags=["models"], route_class=JsonRoute)
Service = Annotated[room.Service, Depends(room.of)]
_CARD = "model_card.html"


class ModelVersion(BaseModel):
    """A loaded version of a model."""

    model_config = ConfigDict(extra="forbid")

    name: str
    version: str
    state: str = Field(description="active answers, shadow scores silently, ready waits")
    default: bool = Field(description="whether it answers requests that name no model")
    task: str
    language: str
    labels: int
    fields: list[str] = Field(description="of a note, in the order joined")
    guarantees: list[float] = Field(description="coverages that prediction sets may have")
    calibrated: bool = Field(description="whether its probabilities are")
    departments: bool = Field(description="whether /v1/triage knows departments by it")
    precision: str
    facts: dict[str, Any] = Field(description="of the package")


class Models(BaseModel):
    """All that are loaded."""

    model_config = ConfigDict(extra="forbid")

    models: list[ModelVersion]


class ModelAdded(BaseModel):
    """A package to load."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=1000, description="its folder on the service's disk")
    name: str | None = Field(None, min_length=1, max_length=99)
    version: str | None = Field(None, min_length=1, max_length=99)


class StateAsked(BaseModel):
    """What a version shall do."""

    model_config = ConfigDict(extra="forbid")

    state: State


class ModelState(BaseModel):
    """What a version does now."""

    model_config = ConfigDict(extra="forbid")

    name: str
    version: str
    state: State


class Label(BaseModel):
    """A label as it is known by name, title and code."""

    model_config = ConfigDict(extra="forbid")

    label: str
    title: dict[str, str] | None = None
    codes: list[str]


class Labels(BaseModel):
    """A model's labels."""

    model_config = ConfigDict(extra="forbid")

    labels: list[Label]


@router.get("/v1/models", responses=problem.responses(*problem.GUARDED))
async def list_models(caller: Clinician, service: Service) -> Models:
    """List the models that are loaded."""
    del caller
    return Models(models=[shown(service, served) for served in service.catalog])


@router.get(
    "/v1/models/{name}/card",
    response_class=FileResponse,
    responses={
        200: {"content": {"text/html": {}}},
        **problem.responses(*problem.GUARDED, 404),
    },
)
async def show_card(name: str, caller: Clinician, service: Service) -> FileResponse:
    """The model card as a page of its own, with its own policy inside."""
    del caller
    path: Path = service.catalog.find(name).package.folder / _CARD
    if not path.is_file():
        raise NotFoundError("this package has no model card")
    return FileResponse(path, media_type="text/html; charset=utf-8")


@router.get(
    "/v1/models/{name}/labels",
    response_model_exclude_none=True,
    responses=problem.responses(*problem.GUARDED, 404),
)
async def list_labels(name: str, caller: Clinician, service: Service) -> Labels:
    """The labels that a model knows, for who corrects one."""
    del caller
    return Labels(
        labels=[
            Label(label=known["name"], title=known["titles"] or None, codes=known["codes"])
            for known in service.catalog.find(name).package.labels
        ]
    )


@router.post(
    "/v1/models",
    status_code=201,
    responses=problem.responses(*problem.GUARDED, 400, 408, 409, 413, 415, 422),
)
async def add_model(asked: ModelAdded, caller: Administrator, service: Service) -> ModelVersion:
    """Load and self-test a package beside the others; it does not answer yet."""
    folder = _within(Path(asked.path), service.settings.serve.model_folders)
    wanted = Wanted(folder, asked.name, asked.version)
    try:
        return shown(service, await service.catalog.add(wanted, caller.actor))
    except StoreError as error:
        raise RefusedError(409, "known_version", error.message, error.hint) from None


@router.put(
    "/v1/models/{name}/versions/{version}",
    responses=problem.responses(*problem.GUARDED, 400, 404, 408, 409, 413, 415, 422),
)
async def switch_model(
    name: str, version: str, asked: StateAsked, caller: Administrator, service: Service
) -> ModelState:
    """Let a version answer, score silently, wait, or be unloaded; no request is dropped."""
    try:
        await service.catalog.switch(name, version, asked.state, caller.actor)
    except ConfigError as error:
        raise RefusedError(409, "answering", error.message, error.hint) from None
    except InUseError as error:
        raise RefusedError(409, "in_use", error.message, error.hint) from None
    return ModelState(name=name, version=version, state=asked.state)


def _within(path: Path, folders: Sequence[Path]) -> Path:
    """The path, if it is below a folder that the settings name, however it is written."""
    try:
        resolved = path.resolve()
    except (OSError, ValueError):
        resolved = None
    if resolved is None or not any(resolved.is_relative_to(f.resolve()) for f in folders):
        raise RefusedError(
            422,
            "outside",
            "the path is below none of the folders that serve.model_folders names",
            "Put the package there, or ask who runs the service to name its folder.",
        )
    return resolved


def shown(service: room.Service, served: Served) -> ModelVersion:
    """A loaded version as the API gives it."""
    package, version = served.package, served.version
    return ModelVersion(
        name=version.name,
        version=version.version,
        state=version.state,
        default=version.name == service.catalog.default and version.state == "active",
        task=package.task,
        language=str(package.facts["language"]),
        labels=len(package.labels),
        fields=list(served.form.fields),
        guarantees=sorted(package.guarantees),
        calibrated=package.calibrator is not None,
        departments=knows_departments(package),
        precision=package.report.precision,
        facts=dict(package.facts),
    )

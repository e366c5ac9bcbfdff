"""KServe V2, the Open Inference Protocol: health, metadata and tensors for platforms.

https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from emrobust import __version__
from emrobust.errors import NotFoundError
from emrobust.package.diagnosis import Diagnosis
from emrobust.serve import problem
from emrobust.serve import service as room
from emrobust.serve.admission import scored
from emrobust.serve.catalog import Served
from emrobust.serve.consultation import About, Asked, decide, entry_of, read_many, shadow
from emrobust.serve.gate import Clinician
from emrobust.serve.json_body import JsonRoute
from emrobust.serve.problem import RefusedError

router = APIRouter(tags=["KServe V2"], route_class=JsonRoute)
Service = Annotated[room.Service, Depends(room.of)]
_MOST_TEXTS = 128
_ONE = "/v2/models/{name}"
_VERSION = "/v2/models/{name}/versions/{version}"


class Live(BaseModel):
    """Whether the process answers."""

    live: bool


class Ready(BaseModel):
    """Whether there are models that answer."""

    ready: bool


class Server(BaseModel):
    """What this server is."""

    name: str
    version: str
    extensions: list[str]


class TensorKind(BaseModel):
    """A tensor's name, type and shape; -1 is any number."""

    name: str
    datatype: str
    shape: list[int]


class Model(BaseModel):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorKind]
    outputs: list[TensorKind]


class ModelReady(BaseModel):
    """Whether a model answers."""

    name: str
    ready: bool


class TextTensor(BaseModel):
    """The texts, one after the other or in rows."""

    model_config = ConfigDict(extra="forbid")

    name: Literal["text"]
    datatype: Literal["BYTES"]
    shape: list[int] = Field(min_length=1, max_length=2)
    data: list[str] = Field(min_length=1, max_length=_MOST_TEXTS)
    parameters: dict[str, Any] | None = None

    @field_validator("data", mode="before", json_schema_input_type=list[str] | list[list[str]])
    @classmethod
    def _flatten(cls, data: Any, info: ValidationInfo) -> Any:
        """Rows, one behind the other."""
        if not isinstance(data, list) or not all(isinstance(row, list) for row in data):
            return data
        if [len(data), *{len(row) for row in data}] != info.data.get("shape"):
            raise ValueError("the rows are not of the tensor's shape")
        return list(itertools.chain.from_iterable(data))


class Wanted(BaseModel):
    """An output that is asked for."""

    model_config = ConfigDict(extra="forbid")

    name: Literal["probability", "chosen", "prediction"]
    parameters: dict[str, Any] | None = None


class InferAsked(BaseModel):
    """A request for tensors."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, max_length=200)
    parameters: dict[str, Any] | None = None
    inputs: list[TextTensor] = Field(min_length=1, max_length=1)
    outputs: list[Wanted] | None = None


class Tensor(BaseModel):
    """Values, row after row."""

    name: str
    datatype: Literal["FP32", "BOOL", "BYTES"]
    shape: list[int]
    data: list[float] | list[bool] | list[str]


class Inferred(BaseModel):
    """The tensors."""

    model_name: str
    model_version: str
    id: str | None = Field(None, description="as the request has it")
    outputs: list[Tensor]


@router.get("/v2")
async def show_server() -> Server:
    """Tell what this server is."""
    return Server(name="emrobust", version=__version__, extensions=[])


@router.get("/v2/health/live")
async def show_live() -> Live:
    """Tell that the process answers."""
    return Live(live=True)


@router.get("/v2/health/ready", responses=problem.responses(503))
async def show_ready(service: Service) -> Ready:
    """Tell that the models are loaded and the store takes what is recorded."""
    await asyncio.to_thread(service.store.check)
    return Ready(ready=True)


@router.get(_ONE, responses=problem.responses(*problem.GUARDED, 404))
@router.get(_VERSION, responses=problem.responses(*problem.GUARDED, 404))
async def show_model(
    name: str, caller: Clinician, service: Service, version: str | None = None
) -> Model:
    """Tell what a model takes and gives."""
    del caller
    served = _find(service, name, version)
    size = len(served.package.labels)
    return Model(
        name=name,
        versions=sorted(s.version.version for s in service.catalog if s.version.name == name),
        platform="emrobust",
        inputs=[TensorKind(name="text", datatype="BYTES", shape=[-1])],
        outputs=[
            TensorKind(name="probability", datatype="FP32", shape=[-1, size]),
            TensorKind(name="chosen", datatype="BOOL", shape=[-1, size]),
            TensorKind(name="prediction", datatype="BYTES", shape=[-1]),
        ],
    )


@router.get(f"{_ONE}/ready", responses=problem.responses(*problem.GUARDED, 404))
@router.get(f"{_VERSION}/ready", responses=problem.responses(*problem.GUARDED, 404))
async def show_model_ready(
    name: str, caller: Clinician, service: Service, version: str | None = None
) -> ModelReady:
    """Tell that a model answers."""
    del caller
    _find(service, name, version)
    return ModelReady(name=name, ready=True)


@router.post(
    f"{_ONE}/infer",
    response_model_exclude_none=True,
    responses=problem.responses(*problem.ANSWERED),
)
@router.post(
    f"{_VERSION}/infer",
    response_model_exclude_none=True,
    responses=problem.responses(*problem.ANSWERED),
)
@scored
async def infer(
    asked: InferAsked, name: str, caller: Clinician, service: Service, version: str | None = None
) -> Inferred:
    """Probabilities and decisions of texts; each text is recorded before they are answered.

    The tensor ``prediction`` has the predictions' ids, for feedback.
    """
    start = time.perf_counter()
    served = _find(service, name, version)
    (given,) = asked.inputs
    if math.prod(max(size, 0) for size in given.shape) != len(given.data):
        raise RefusedError(422, "shape", "the shape is not that of the data", "Send shape [n].")
    texts = await read_many(service, served, given.data)
    own = await served.batcher.score(texts)
    for text, row in zip(texts, own, strict=True):
        service.monitor.observe(served, "infer", text, row)
    found = decide(service, served, own)
    about = About(caller.actor, "infer", None)
    entries = [
        entry_of(served, one, about, start, text=text)
        for one, text in zip(found, texts, strict=True)
    ]
    await asyncio.gather(*map(service.record, entries))
    ids = [entry.id for entry in entries]
    service.look_aside(_shadow(service, served, given.data, about, ids))
    return Inferred(
        model_name=served.version.name,
        model_version=served.version.version,
        id=asked.id,
        outputs=_tensors(found, ids, [one.name for one in asked.outputs or ()]),
    )


async def _shadow(
    service: room.Service, served: Served, texts: Sequence[str], about: About, ids: Sequence[str]
) -> None:
    """Let shadow versions read them too, one after the other."""
    for text, beside in zip(texts, ids, strict=True):
        await shadow(service, served, Asked(text=text), about, beside)


def _tensors(found: list[Diagnosis], ids: list[str], wanted: list[str]) -> list[Tensor]:
    """The tensors that are wanted, in that order; all where none is named."""
    probability = np.stack([one.probability for one in found]).astype(np.float32)
    chosen = np.stack([one.chosen for one in found])
    shape = list(probability.shape)
    tensors = {
        "probability": Tensor(
            name="probability",
            datatype="FP32",
            shape=shape,
            data=probability.ravel().round(6).astype(float).tolist(),
        ),
        "chosen": Tensor(name="chosen", datatype="BOOL", shape=shape, data=chosen.ravel().tolist()),
        "prediction": Tensor(name="prediction", datatype="BYTES", shape=[len(ids)], data=ids),
    }
    return [tensors[name] for name in dict.fromkeys(wanted or tensors)]


def of_problem(told: dict[str, Any]) -> dict[str, Any]:
    """A problem's body with the member that the protocol wants in an error."""
    mistakes = [f"{one['where']}: {one['what']}" for one in told.get("errors") or ()]
    said = "; ".join((told["detail"], *mistakes))
    return {**told, "error": ". ".join(filter(None, (said, told.get("hint"))))}


def _find(service: room.Service, name: str, version: str | None) -> Served:
    if "@" in name:
        raise NotFoundError("there is no such model here", "Name a version by /versions/VERSION.")
    return service.catalog.find(name if version is None else f"{name}@{version}")

"""``/v1/batch``: tables as jobs that survive a restart; a caller sees their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from emrobust import runs
from emrobust.errors import NotFoundError
from emrobust.serve import problem
from emrobust.serve import service as room
from emrobust.serve.consultation import Name
from emrobust.serve.gate import Caller, Clinician
from emrobust.serve.jobs import Cause, Files, Worker, cause_of, check_table, worker
from emrobust.serve.problem import RefusedError
from emrobust.serve.store import clock
from emrobust.serve.store import jobs as queue
from emrobust.serve.store.entries import new_id
from emrobust.serve.store.jobs import Job, State

_MOST = 100  # jobs in a list
_CHUNK = 1 << 20  # bytes that are written at once


@contextlib.asynccontextmanager
async def _work(app: FastAPI) -> AsyncIterator[None]:
    """The worker lives as long as the service."""
    app.state.worker = Worker(app.state.service, asyncio.get_running_loop())
    yield
    await asyncio.to_thread(app.state.worker.stop)


router = APIRouter(tags=["batch"], lifespan=_work)
Service = Annotated[room.Service, Depends(room.of)]
JobId = Annotated[str, Field(max_length=36)]
_READS = problem.responses(401, 403, 404, 422, 429, 503)
_CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}}
}


class Accepted(BaseModel):
    """A job that is queued, on disk."""

    model_config = ConfigDict(extra="forbid")

    job: str
    absent_columns: list[str] | None = Field(
        None, description="of the model's project, which the table lacks and which are done without"
    )


class JobShown(BaseModel):
    """A job as it is now."""

    model_config = ConfigDict(extra="forbid")

    id: str
    state: State
    model: str
    at: str = Field(description="when it was queued")
    done: int = Field(description="rows that are finished")
    total: int | None = Field(None, description="rows, once they are counted")
    finished: str | None = None
    until: str | None = Field(None, description="when its result will be erased, while it is there")
    cause: Cause | None = Field(None, description="why it failed, where a word fits")
    reason: str | None = Field(None, description="why it failed, as a sentence")


class JobList(BaseModel):
    """The newest jobs."""

    model_config = ConfigDict(extra="forbid")

    jobs: list[JobShown]


@router.post(
    "/v1/batch",
    status_code=202,
    response_model=Accepted,
    responses=problem.responses(400, 401, 403, 404, 408, 413, 415, 422, 429, 503, 507),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def queue_job(
    request: Request,
    caller: Clinician,
    service: Service,
    name: Annotated[str, Query(max_length=255, description="of the file; its ending counts")],
    model: Annotated[Name | None, Query(description="name or name@version")] = None,
) -> Response:
    """Take a table, as the body of the request, and predict its rows in the background."""
    served = service.catalog.find(model)
    suffix = await asyncio.to_thread(_suffix, name)
    database = service.store.database
    if await asyncio.to_thread(queue.unfinished, database, caller.actor) >= _allowed(service):
        raise RefusedError(
            429,
            "too_many_jobs",
            f"{_allowed(service)} of your jobs are not finished yet",
            "Wait for one, or cancel one.",
            retry=60,
        )
    job_id = new_id()
    files = Files(service.settings.serve.jobs.absolute() / job_id)
    try:
        with files.unnamed():
            files.make()
            await _receive(request, files.upload(suffix))
        absent = await asyncio.to_thread(check_table, served, files, files.upload(suffix))
        await asyncio.to_thread(
            queue.queue,
            database,
            actor=caller.actor,
            task="batch",
            model=served.full_name,
            source=str(files.upload(suffix)),
            target=str(files.result),
            job_id=job_id,
        )
    except BaseException:
        files.erase()
        raise
    request.app.state.worker.wake()
    headers = {"Location": f"/v1/batch/{job_id}"}
    accepted = Accepted(job=job_id, absent_columns=absent or None)
    return JSONResponse(accepted.model_dump(exclude_none=True), 202, headers)


@router.get("/v1/batch", response_model_exclude_none=True, responses=_READS)
async def list_jobs(caller: Clinician, service: Service) -> JobList:
    """List the newest jobs: the caller's own, or an administrator's view of all."""
    whose = None if caller.allows("administrator") else caller.actor
    found = await asyncio.to_thread(queue.newest, service.store.database, _MOST, whose)
    return JobList(jobs=[_show(service, job) for job in found])


@router.get("/v1/batch/{job}", response_model_exclude_none=True, responses=_READS)
async def show_job(job: JobId, caller: Clinician, service: Service) -> JobShown:
    """Tell how far a job is."""
    return _show(service, await _find(job, caller, service))


@router.delete("/v1/batch/{job}", response_model_exclude_none=True, responses=_READS)
async def cancel_job(request: Request, job: JobId, caller: Clinician, service: Service) -> JobShown:
    """Cancel a job, or erase the result of one that is done."""
    await _find(job, caller, service)
    database = service.store.database
    changed = await asyncio.to_thread(queue.cancel, database, job, caller.actor)
    if changed.state == "done":
        changed = await asyncio.to_thread(queue.erase, database, job, caller.actor)
        await asyncio.to_thread(worker.files_of(changed).erase)
    request.app.state.worker.wake()  # it erases a cancelled job's files
    return _show(service, changed)


@router.get(
    "/v1/batch/{job}/result",
    response_class=FileResponse,
    responses={**_CSV, **problem.responses(401, 403, 404, 409, 422, 429, 503)},
)
async def download_result(job: JobId, caller: Clinician, service: Service) -> FileResponse:
    """The predictions as CSV."""
    found = await _find(job, caller, service)
    return _send(service, found, worker.files_of(found).result, "predictions.csv")


@router.get(
    "/v1/batch/{job}/rejects",
    response_class=FileResponse,
    responses={**_CSV, **problem.responses(401, 403, 404, 409, 422, 429, 503)},
)
async def download_rejects(job: JobId, caller: Clinician, service: Service) -> FileResponse:
    """The rows that were refused, with the reason, as CSV."""
    found = await _find(job, caller, service)
    return _send(service, found, worker.files_of(found).rejects, "rejects.csv")


def _suffix(name: str) -> str:
    """The ending of a file's name; the rest of it is forgotten."""
    # Late: polars takes as long to load as the rest of the service, and requests need none.
    from emrobust import ingest  # noqa: PLC0415

    suffix = Path(name).suffix.lower()
    # No databases: a view in one may compute without end.
    known = ingest.file_kinds()
    if suffix not in known:
        raise RefusedError(
            415,
            "media_type",
            "this is no kind of table that is read",
            f"Known: {', '.join(known)}.",
        )
    return suffix


def _allowed(service: room.Service) -> int:
    return service.settings.batch.waiting


async def _receive(request: Request, path: Path) -> None:
    """Write the body to a file that its owner alone can read, as it comes."""
    with runs.storage_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            waiting = bytearray()
            try:
                async for chunk in request.stream():
                    waiting += chunk
                    if len(waiting) >= _CHUNK:
                        await asyncio.to_thread(file.write, bytes(waiting))
                        waiting.clear()
            except ClientDisconnect:
                raise RefusedError(400, "hung_up", "the body ended too early") from None
            await asyncio.to_thread(_finish, file, bytes(waiting))


def _finish(file: BinaryIO, rest: bytes) -> None:
    """Write the rest; on disk, since the job is promised to survive."""
    file.write(rest)
    file.flush()
    os.fsync(file.fileno())


async def _find(job: str, caller: Caller, service: room.Service) -> Job:
    """A job that the caller may see; others' jobs are as unknown as none."""
    found = await asyncio.to_thread(queue.get, service.store.database, job)
    if found.actor != caller.actor and not caller.allows("administrator"):
        raise NotFoundError("there is no such job")
    return found


def _show(service: room.Service, job: Job) -> JobShown:
    end = worker.until(service, job)
    return JobShown(
        id=job.id,
        state=job.state,
        model=job.model,
        at=job.at,
        done=job.done,
        total=job.total,
        finished=job.finished,
        until=None if end is None else clock.write(end),
        cause=cause_of(job),
        reason=job.reason,
    )


def _send(service: room.Service, job: Job, path: Path, name: str) -> FileResponse:
    if job.state in ("queued", "running"):
        raise RefusedError(
            409, "unfinished", f"the job is {job.state}", "Ask again when it is done.", retry=5
        )
    if job.state != "done" or worker.is_over(service, job) or not path.is_file():
        raise NotFoundError(
            "there is no result of this job",
            "It failed, or it was cancelled, or its result was erased.",
        )
    return FileResponse(path, media_type="text/csv; charset=utf-8", filename=name)

"""Batch jobs that survive a restart.

    queued ──claim──▶ running ──finish──▶ done ──erase──▶ erased
      │                 │ ├────fail────▶ failed
      │                 │ └─lease over─▶ claimed again, from the last row that was reported
      └────cancel───────┴──────────────▶ cancelled

A worker holds a lease and renews it with every report of progress (`beat`). A killed worker's
lease runs out, and another worker takes the job. A worker that comes back too late is told so by
its next report, and must not touch the job's files any more. A job is failed when `MOST_STALLS`
workers in a row were stopped before they finished a row, since it is probably what kills them.
Machines that share a PostgreSQL need clocks that agree to well within a lease.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import sqlalchemy as sa

from emrobust.errors import EmrobustError, LostLeaseError, NotFoundError
from emrobust.serve.store import chain, clock, versions
from emrobust.serve.store.database import Database
from emrobust.serve.store.entries import Event, new_id, short, to_rows
from emrobust.serve.store.schema import JOBS

State = Literal["queued", "running", "done", "erased", "failed", "cancelled"]
LEASE_SECONDS = 30.0
MOST_STALLS = 5
_PATH = 1000


@dataclass(frozen=True)
class Job:
    """A table that is to be predicted.

    Attributes:
        id: given to the caller.
        at: when it was queued.
        actor: by whom.
        task: ``diagnose``, ``triage`` …
        model: name and version.
        source: path of the table that was uploaded.
        target: path of the result.
        state: queued, running, done, erased, failed or cancelled.
        total: rows, where they were counted.
        done: rows that are finished for certain; a new worker goes on behind them.
        attempts: workers that took it.
        stalls: those of them, since the last progress, that have made none.
        worker: who holds it.
        lease: until when.
        finished: when it came to an end.
        reason: why it failed; never a record's text.
    """

    id: str
    at: str
    actor: str
    task: str
    model: str
    source: str
    target: str
    state: State
    total: int | None
    done: int
    attempts: int
    stalls: int
    worker: str | None
    lease: str | None
    finished: str | None
    reason: str | None


class Beat(Protocol):
    """Reports progress and renews the lease."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """See `beat`; raises `LostLeaseError` where that is False."""


Handle = Callable[[Job, Beat], None]


def queue(
    database: Database,
    *,
    actor: str,
    task: str,
    model: str,
    source: str,
    target: str,
    total: int | None = None,
    job_id: str | None = None,
) -> Job:
    """Queue a job; it is on disk when this returns.

    Args:
        database: where the jobs are.
        actor: by whom.
        task: ``diagnose`` …
        model: name and version.
        source: path of the table.
        target: path of the result.
        total: rows, where they were counted.
        job_id: from `new_id`, where the caller has named files by it already.

    Raises:
        InputError: a field is no short printable text.
        NotFoundError: the model version was retired meanwhile.
    """
    job = Job(
        id=short(job_id or new_id(), "id", 36),
        at=clock.now(),
        actor=short(actor, "actor"),
        task=short(task, "task"),
        model=short(model, "model"),
        source=short(source, "source", _PATH),
        target=short(target, "target", _PATH),
        state="queued",
        total=total,
        done=0,
        attempts=0,
        stalls=0,
        worker=None,
        lease=None,
        finished=None,
        reason=None,
    )
    with database.write() as connection:
        database.lock(connection)  # or the version could be retired at this moment
        if versions.is_retired(connection, job.model):
            raise NotFoundError("the model version was retired", "See GET /v1/models.")
        connection.execute(sa.insert(JOBS), [vars(job)])
        _tell(database, connection, job, actor, "job queued")
    return job


def claim(database: Database, worker: str, lease: float = LEASE_SECONDS) -> Job | None:
    """Take the oldest job that nobody holds; None where there is none.

    Args:
        database: where the jobs are.
        worker: a name that no other worker has.
        lease: seconds until the next `beat` must have come.
    """
    now = clock.now()
    abandoned = sa.and_(JOBS.c.state == "running", JOBS.c.lease < now)
    free = (
        sa.select(JOBS)
        .where(sa.or_(JOBS.c.state == "queued", abandoned))
        .order_by(JOBS.c.at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    with database.read() as connection:  # most looks find nothing, and need no right to write
        if connection.execute(free.with_only_columns(JOBS.c.id)).first() is None:
            return None
    with database.write() as connection:
        while (found := connection.execute(free).mappings().one_or_none()) is not None:
            job = _read(found)
            if job.stalls < MOST_STALLS:
                return _take(database, connection, job, worker, lease)
            reason = f"{job.stalls} workers in a row were stopped before they finished a row of it"
            _close(database, connection, job, "failed", worker, reason=reason)
    return None


def _take(
    database: Database, connection: sa.Connection, job: Job, worker: str, lease: float
) -> Job:
    values = {
        "state": "running",
        "attempts": job.attempts + 1,
        "stalls": job.stalls + 1,
        "worker": short(worker, "worker"),
        "lease": clock.now(lease),
    }
    connection.execute(sa.update(JOBS).where(JOBS.c.id == job.id).values(values))
    taken = _get(connection, job.id)
    _tell(database, connection, taken, worker, "job started")
    return taken


def beat(
    database: Database,
    job: Job,
    done: int,
    lease: float = LEASE_SECONDS,
    total: int | None = None,
) -> bool:
    """Report progress and renew the lease; False where the job is no longer this worker's.

    Args:
        database: where the jobs are.
        job: as `claim` gave it.
        done: rows whose results are on disk.
        lease: seconds from now; 0 gives the job back.
        total: rows of the table, once they are counted.
    """
    values: dict[str, int | str] = {"done": done, "lease": clock.now(lease)}
    if total is not None:
        values["total"] = total
    if done > job.done:
        values["stalls"] = 0
    with database.write() as connection:
        changed = connection.execute(sa.update(JOBS).where(_held(job)).values(values))
        return changed.rowcount == 1


def finish(database: Database, job: Job) -> bool:
    """The job is done; False where it is no longer this worker's."""
    with database.write() as connection:
        return _close(database, connection, job, "done", str(job.worker))


def fail(database: Database, job: Job, reason: str) -> bool:
    """The job cannot be done; ``reason`` holds no record's text."""
    with database.write() as connection:
        return _close(database, connection, job, "failed", str(job.worker), reason=reason)


def cancel(database: Database, job_id: str, actor: str) -> Job:
    """Cancel a job; one that has come to an end stays as it is.

    Raises:
        NotFoundError: there is no such job.
    """
    short(actor, "actor")
    with database.write() as connection:
        job = _get(connection, job_id, lock=True)
        if job.state in ("queued", "running"):
            _close(database, connection, job, "cancelled", actor)
        return _get(connection, job_id)


def erase(database: Database, job_id: str, actor: str) -> Job:
    """Say of a job that is done that its result is there no more; another stays as it is.

    Raises:
        NotFoundError: there is no such job.
    """
    short(actor, "actor")
    with database.write() as connection:
        job = _get(connection, job_id, lock=True)
        if job.state == "done":
            connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(state="erased"))
            _tell(database, connection, job, actor, "job erased")
        return _get(connection, job_id)


def get(database: Database, job_id: str) -> Job:
    """A job as it is now.

    Raises:
        NotFoundError: there is no such job.
    """
    with database.read() as connection:
        return _get(connection, job_id)


def newest(database: Database, most: int = 100, actor: str | None = None) -> list[Job]:
    """The newest jobs, of all or of one actor; at most ``most``."""
    asked = sa.select(JOBS).order_by(JOBS.c.at.desc()).limit(most)
    if actor is not None:
        asked = asked.where(JOBS.c.actor == actor)
    with database.read() as connection:
        return [_read(row) for row in connection.execute(asked).mappings()]


def unfinished(database: Database, actor: str) -> int:
    """How many jobs of an actor are queued or running."""
    of_actor = sa.and_(JOBS.c.actor == actor, JOBS.c.state.in_(("queued", "running")))
    with database.read() as connection:
        asked = sa.select(sa.func.count()).select_from(JOBS).where(of_actor)
        return int(connection.execute(asked).scalar_one())


def work(
    database: Database, worker: str, handle: Handle, lease: float = LEASE_SECONDS
) -> Job | None:
    """Take one job and do it; the job as it is then, or None where there was none.

    Args:
        database: where the jobs are.
        worker: a name that no other worker has.
        handle: ``handle(job, beat)`` begins behind row ``job.done`` and calls ``beat(done)`` at
            least thrice a lease; an exception other than `LostLeaseError` fails the job.
        lease: seconds.
    """
    job = claim(database, worker, lease)
    if job is None:
        return None
    held = job

    def report(done: int, total: int | None = None) -> None:
        if not beat(database, held, done, lease, total):
            raise LostLeaseError(f"job {held.id} was cancelled or taken by another worker")

    try:
        handle(job, report)
    except LostLeaseError:
        pass
    except EmrobustError as error:
        fail(database, job, error.message)
    except Exception as error:  # its message could hold a record's text
        fail(database, job, f"an unforeseen {type(error).__name__}")
    else:
        finish(database, job)
    return get(database, job.id)


def _held(job: Job) -> sa.ColumnElement[bool]:
    """The job, if this worker still holds it in this attempt."""
    return sa.and_(
        JOBS.c.id == job.id,
        JOBS.c.state == job.state,
        JOBS.c.attempts == job.attempts,
    )


def _close(
    database: Database,
    connection: sa.Connection,
    job: Job,
    state: State,
    actor: str,
    *,
    reason: str | None = None,
) -> bool:
    values = {
        "state": state,
        "finished": clock.now(),
        "reason": reason and " ".join(reason.split())[:_PATH],
    }
    if connection.execute(sa.update(JOBS).where(_held(job)).values(values)).rowcount != 1:
        return False
    _tell(database, connection, job, actor, f"job {state}")
    return True


def _tell(database: Database, connection: sa.Connection, job: Job, actor: str, action: str) -> None:
    event = Event(actor=actor, action=action, model=job.model, detail={"job": job.id})
    chain.append(database, connection, [to_rows(event).audit])


def _get(connection: sa.Connection, job_id: str, *, lock: bool = False) -> Job:
    asked = sa.select(JOBS).where(JOBS.c.id == job_id)
    found = connection.execute(asked.with_for_update() if lock else asked).mappings()
    row = found.one_or_none()
    if row is None:
        raise NotFoundError("there is no such job")
    return _read(row)


def _read(row: sa.RowMapping) -> Job:
    return Job(**dict(row))

"""The thread that takes batch jobs one after the other, and erases what is over."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import threading
import time
from pathlib import Path
from typing import final

from emrobust.errors import LostLeaseError, NotFoundError, UnavailableError
from emrobust.serve.jobs.files import Files
from emrobust.serve.jobs.task import Task
from emrobust.serve.service import Service
from emrobust.serve.store import clock
from emrobust.serve.store import jobs as queue
from emrobust.serve.store.entries import new_id
from emrobust.serve.store.jobs import Beat, Job

_PAUSE = 2.0  # seconds between looks for a job that another process queued or lost
_SWEEP_SECONDS = 600.0
_ORPHAN_SECONDS = 86_400.0  # after which an upload that became no job is erased
_ACTOR = "worker"  # of what no caller asked for
_LOG = logging.getLogger("emrobust.serve")


@final
class Worker:
    """Does the jobs of a service; opened and closed with it.

    Args:
        service: whose.
        loop: in which its models are asked.
    """

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self._service = service
        self._loop = loop
        self._name = f"worker {new_id()}"
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._swept = -_SWEEP_SECONDS
        self._thread = threading.Thread(target=self._run, name="emrobust-jobs", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something to do, or to erase."""
        self._woken.set()

    def stop(self) -> None:
        """Give the job in hand back, and end; to be called in a thread other than the loop's."""
        self._stopping.set()
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except UnavailableError:
                self._stopping.wait(_PAUSE)
            except Exception as error:  # the thread must live; a message could quote a record
                _LOG.error("the worker of batch jobs: an unforeseen %s", type(error).__name__)
                self._stopping.wait(_PAUSE)

    def _turn(self) -> None:
        """One job; where there is none, erase what is over, and wait."""
        lease = self._service.settings.batch.lease
        if queue.work(self._service.store.database, self._name, self._do, lease) is not None:
            return
        if self._woken.is_set() or time.monotonic() - self._swept > _SWEEP_SECONDS:
            self._woken.clear()
            self._swept = time.monotonic()
            sweep(self._service)
        self._woken.wait(_PAUSE)

    def _do(self, job: Job, beat: Beat) -> None:
        try:
            Task(self._service, self._loop, job, beat, self._stopping.is_set).run()
        except UnavailableError as error:
            # Nothing is wrong with the job; who takes it when its lease is over goes on with it.
            raise LostLeaseError(error.message) from None


def sweep(service: Service) -> None:
    """Erase the files of jobs that are over: at once, or results after the days that they keep."""
    base = service.settings.serve.jobs
    for folder in base.iterdir() if base.is_dir() else ():
        if not folder.is_dir():
            continue
        files = Files(folder)
        try:
            job = queue.get(service.store.database, folder.name)
        except NotFoundError:
            if time.time() - folder.stat().st_mtime > _ORPHAN_SECONDS:
                files.erase()
            continue
        if is_over(service, job):
            job = queue.erase(service.store.database, job.id, _ACTOR)
        if job.state in ("erased", "failed", "cancelled"):
            files.erase()
        elif job.state == "done":
            files.tidy()


def until(service: Service, job: Job) -> dt.datetime | None:
    """The moment at which a result is erased; None where there is none."""
    if job.state != "done" or job.finished is None:
        return None
    return clock.read(job.finished) + dt.timedelta(days=service.settings.batch.keep_days)


def is_over(service: Service, job: Job) -> bool:
    """Whether a result's days are over."""
    end = until(service, job)
    return end is not None and end <= dt.datetime.now(dt.UTC)


def files_of(job: Job) -> Files:
    """Where a job's files are."""
    return Files(Path(job.target).parent)

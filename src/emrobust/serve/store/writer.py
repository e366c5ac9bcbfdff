"""Group commit: what many requests record at once goes to disk in one transaction.

A flush to disk takes milliseconds, whether of one row or of five hundred. One thread takes all
that waits, writes it with its audit rows, commits, and only then acknowledges each. While it
commits, the next group gathers; so a lone request waits for one flush and no longer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import final

import sqlalchemy as sa

from emrobust.errors import (
    EmrobustError,
    NotFoundError,
    StorageError,
    StoreError,
    UnavailableError,
)
from emrobust.serve.store import chain
from emrobust.serve.store.database import Database
from emrobust.serve.store.entries import Rows, digest
from emrobust.serve.store.schema import AUDIT, FEEDBACK, PREDICTIONS, TEXTS

_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds before further attempts; the last one repeats

Waiting = tuple[Rows, "Future[None]"]


@final
class Writer:
    """The one thread of a process that appends.

    Attributes:
        is_full: the last transaction failed, since its disk is full or may not be written.

    Args:
        database: where to.
        most: entries of one transaction.
        waiting: entries that may wait; more are refused at once.
        patience: seconds for which an absent database is tried again.
    """

    def __init__(
        self,
        database: Database,
        *,
        most: int = 500,
        waiting: int = 10_000,
        patience: float = 10.0,
    ) -> None:
        self._database = database
        self._most = most
        self._waiting = waiting
        self._patience = patience
        self._queue: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.is_full = False
        self._thread = threading.Thread(target=self._run, name="store writer", daemon=True)
        self._thread.start()

    def submit(self, rows: Rows) -> Future[None]:
        """Hand over an entry; the future is done when it is on disk, or says why it is not.

        Raises:
            UnavailableError: too many wait already, or the store is closed.
        """
        done: Future[None] = Future()
        with self._changed:
            if self._closed:
                raise UnavailableError("the store is closed")
            if len(self._queue) >= self._waiting:
                raise UnavailableError(
                    f"{self._waiting} entries wait to be stored", "Try again in a few seconds."
                )
            self._queue.append((rows, done))
            self._changed.notify()
        return done

    def close(self) -> None:
        """Write what waits, then stop; an absent database is not waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._take():
            try:
                refused = self._write(group)
                self.is_full = False
            except EmrobustError as error:
                self.is_full = isinstance(error, StorageError)
                refused = dict.fromkeys(range(len(group)), error)
            except Exception as error:  # whatever it is, the callers must not wait for ever
                unforeseen = StoreError(f"the store failed unexpectedly ({type(error).__name__})")
                refused = dict.fromkeys(range(len(group)), unforeseen)
            for number, (_, done) in enumerate(group):
                _answer(done, refused.get(number))

    def _take(self) -> list[Waiting]:
        """All that waits, at most `most`; empty when the store is closed and nothing is left."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            return [self._queue.popleft() for _ in range(min(self._most, len(self._queue)))]

    def _write(self, group: Sequence[Waiting]) -> dict[int, EmrobustError]:
        """Write a group, trying again while the database is away; the entries that were refused.

        A commit whose answer was lost may have happened; `write` finds then that all is there.
        """
        until = time.monotonic() + self._patience
        attempt = 0
        while True:
            try:
                with self._database.write() as connection:
                    return write(self._database, connection, [rows for rows, _ in group])
            except UnavailableError:
                if self._closed or time.monotonic() > until:
                    raise
            time.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            attempt += 1


def _answer(done: Future[None], error: EmrobustError | None) -> None:
    if not done.set_running_or_notify_cancel():
        return  # the caller went away; what was written stays written
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def write(
    database: Database, connection: sa.Connection, entries: Sequence[Rows]
) -> dict[int, EmrobustError]:
    """Write entries inside a transaction; the errors of those that were left out, by position.

    An entry whose id is there already is not written again: it counts as written if it is the
    same, and as refused if not.
    """
    database.lock(connection)
    refused: dict[int, EmrobustError] = {}
    there = _known(connection, entries)
    missing = _missing(connection, entries)
    fresh: list[Rows] = []
    for number, rows in enumerate(entries):
        if rows.id in there:
            if not _same(rows, *there[rows.id]):
                refused[number] = StoreError(f"the id {rows.id} is taken by another entry")
        elif number in missing:
            refused[number] = NotFoundError(f"there is no prediction {rows.row['prediction']}")
        else:
            there[rows.id] = (rows.audit["at"], rows.audit["digest"])
            fresh.append(rows)
    for table in (PREDICTIONS, FEEDBACK):
        if values := [rows.row for rows in fresh if rows.table is table]:
            connection.execute(sa.insert(table), values)
    texts = [{"id": rows.id, "sealed": rows.sealed} for rows in fresh if rows.sealed is not None]
    if texts:
        connection.execute(sa.insert(TEXTS), texts)
    chain.append(database, connection, [rows.audit for rows in fresh])
    return refused


def _known(connection: sa.Connection, entries: Sequence[Rows]) -> dict[str, tuple[str, str | None]]:
    """Time and digest of the entries that the log has already, by id."""
    ids = [rows.id for rows in entries]
    asked = sa.select(AUDIT.c.event, AUDIT.c.at, AUDIT.c.digest).where(AUDIT.c.event.in_(ids))
    return {row.event: (row.at, row.digest) for row in connection.execute(asked)}


def _same(rows: Rows, at: str, told: str | None) -> bool:
    """Whether an entry is the one that was stored, but for the moment at which it was given."""
    return (digest({**rows.row, "at": at}) if rows.row else None) == told


def _missing(connection: sa.Connection, entries: Sequence[Rows]) -> set[int]:
    """Positions of feedback on predictions that are neither stored nor about to be."""
    wanted = {n: rows.row["prediction"] for n, rows in enumerate(entries) if rows.table is FEEDBACK}
    if not wanted:
        return set()
    coming = {rows.id for rows in entries if rows.table is PREDICTIONS}
    asked = sa.select(PREDICTIONS.c.id).where(PREDICTIONS.c.id.in_(set(wanted.values()) - coming))
    known = coming | set(connection.execute(asked).scalars())
    return {number for number, prediction in wanted.items() if prediction not in known}

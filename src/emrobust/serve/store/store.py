"""The store as the service holds it: opened once, shared by all requests of a process."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar, final

import sqlalchemy as sa
from pydantic import Field

from emrobust.config import Section
from emrobust.errors import NotFoundError, StorageError, StoreError, UnavailableError
from emrobust.serve.store import migrate
from emrobust.serve.store.database import Database, connect
from emrobust.serve.store.entries import Entry, Event, to_rows
from emrobust.serve.store.keys import Doorkeeper
from emrobust.serve.store.schema import AUDIT, FEEDBACK, PREDICTIONS, TEXTS
from emrobust.serve.store.texts import Seal, read_seal
from emrobust.serve.store.writer import Writer

_ACTOR = "service"
_PAUSE = 0.5  # seconds between attempts to reach a database at the start
T = TypeVar("T")


class StoreSettings(Section):
    """The service's ``[store]``; `docs/store.md` explains each key."""

    url: str = Field("store.db", description="SQLite file, or postgresql://user:${NAME}@host/db")
    upgrade: bool = Field(True, description="run missing migrations at the start")
    text_key: Path | None = Field(None, description="key file; absent: no text is ever kept")
    group: int = Field(500, ge=1, le=5000, description="most entries of one transaction")
    waiting: int = Field(10_000, ge=1, description="entries that may wait; more are refused")
    patience: float = Field(10.0, ge=0.0, description="seconds to try an absent database again")


@final
class Store:
    """Records what the service does; safe to use from many threads.

    Attributes:
        database: for `jobs`, `keys` and `versions`.
        doorkeeper: tells whose an API key is.
    """

    def __init__(self, database: Database, seal: Seal | None, settings: StoreSettings) -> None:
        self.database = database
        self.doorkeeper = Doorkeeper(database)
        self._seal = seal
        self._writer = Writer(
            database,
            most=settings.group,
            waiting=settings.waiting,
            patience=settings.patience,
        )

    @property
    def keeps_text(self) -> bool:
        """Whether the hospital switched texts on."""
        return self._seal is not None

    def check(self) -> None:
        """Return if the database answers, and takes what is recorded.

        After a full disk it tries to record that there is room again: nobody else would while a
        service that is not ready gets no requests.

        Raises:
            UnavailableError: it is away or busy, or its disk is still full.
        """
        with self.database.read() as connection:
            connection.execute(sa.select(1))
        if self._writer.is_full:
            try:
                self.record(Event(actor=_ACTOR, action="store writable again"))
            except StorageError as error:
                raise UnavailableError(error.message, error.hint) from None

    def submit(self, entry: Entry) -> Future[None]:
        """Record an entry with its row of the audit log.

        Returns:
            a future that is done once both are on disk (``asyncio.wrap_future`` awaits it). It
            raises `NotFoundError` for feedback on an unknown prediction, `StorageError` for a full
            disk, `UnavailableError` for a database that stayed away; nothing was stored then.

        Raises:
            InputError: a field is not what its column takes.
            UnavailableError: too many entries wait.
        """
        return self._writer.submit(to_rows(entry, self._seal))

    def record(self, entry: Entry) -> None:
        """`submit`, and wait until it is on disk."""
        self.submit(entry).result()

    def prediction(self, prediction: str) -> dict[str, Any]:
        """A prediction's row.

        Raises:
            NotFoundError: there is no such prediction.
        """
        with self.database.read() as connection:
            asked = sa.select(PREDICTIONS).where(PREDICTIONS.c.id == prediction)
            found = connection.execute(asked).mappings().one_or_none()
        if found is None:
            raise NotFoundError("there is no such prediction")
        return dict(found)

    def predictions(self, since: str = "", most: int = 1000) -> list[dict[str, Any]]:
        """Rows from a moment on (as `clock` writes it), the oldest first."""
        return self._since(PREDICTIONS, since, most)

    def feedback(self, since: str = "", most: int = 1000) -> list[dict[str, Any]]:
        """Rows from a moment on, the oldest first."""
        return self._since(FEEDBACK, since, most)

    def audit(self, after: int = 0, most: int = 1000) -> list[dict[str, Any]]:
        """Rows of the log behind a row's number, in order."""
        asked = sa.select(AUDIT).where(AUDIT.c.seq > after).order_by(AUDIT.c.seq).limit(most)
        return self._rows(asked)

    def text(self, owner: str, actor: str) -> str:
        """The text of a prediction or the comment of a feedback; that it was read is logged first.

        Raises:
            NotFoundError: none was kept, or it was erased (`erasure`).
            StoreError: texts are switched off, or it was sealed with another key.
        """
        if self._seal is None:
            raise StoreError("texts are switched off", "They need `text_key`.")
        with self.database.read() as connection:
            asked = sa.select(TEXTS.c.sealed).where(TEXTS.c.id == owner)
            sealed = connection.execute(asked).scalar()
        if sealed is None:
            raise NotFoundError("no text was kept for this id")
        self.record(Event(actor=actor, action="text read", detail={"of": owner}))
        return self._seal.open(sealed, owner)

    def close(self) -> None:
        """Write what waits, then close."""
        self._writer.close()
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _since(self, table: sa.Table, since: str, most: int) -> list[dict[str, Any]]:
        asked = sa.select(table).where(table.c.at >= since).order_by(table.c.at).limit(most)
        return self._rows(asked)

    def _rows(self, asked: sa.Select[Any]) -> list[dict[str, Any]]:
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(asked).mappings()]


def open_store(settings: StoreSettings) -> Store:
    """Open the store, of the right version; an absent database is tried again for a while.

    Raises:
        StoreError: a wrong URL, a refused password, a store of a newer version; without
            ``upgrade`` also one that is absent or of an older version.
        UnavailableError: the database stayed away.
        ConfigError: the key file cannot be used.
    """
    seal = None if settings.text_key is None else read_seal(settings.text_key)
    database = connect(settings.url, create=settings.upgrade)
    prepare = migrate.upgrade if settings.upgrade else migrate.require
    try:
        patiently(lambda: prepare(database), settings.patience)
    except BaseException:
        database.close()
        raise
    return Store(database, seal, settings)


def patiently(call: Callable[[], T], patience: float) -> T:
    """Call again while the database is away, for so many seconds.

    Raises:
        UnavailableError: it stayed away.
    """
    until = time.monotonic() + patience
    while True:
        try:
            return call()
        except UnavailableError:
            if time.monotonic() > until:
                raise
        time.sleep(_PAUSE)

"""A connection to SQLite or PostgreSQL, and what its refusals mean.

What is acknowledged is on disk: SQLite runs in WAL mode with ``synchronous=FULL``, PostgreSQL with
``synchronous_commit=on``. Messages name the database and never its password, and nothing that a
driver says is passed on once connected, since it may quote a row.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import sqlalchemy as sa
from sqlalchemy import event, exc

from emrobust import config
from emrobust.errors import EmrobustError, StorageError, StoreError, UnavailableError

BUSY_SECONDS = 5.0
# Any number will do that no other program takes in the same database.
LOCK = int.from_bytes(b"emrobust", "big") >> 1

_NOT_ADMITTED = ("authentication failed", "no password supplied", "role ", "pg_hba.conf")

_URL = re.compile(r"^\w[\w+.-]*://")
_MEANT = re.compile(r"^(sqlite|postgres\w*):|:.*@")  # a URL that went wrong, and no path
_AWAY = ("08", "57P", "40001", "40P01", "55P03", "53300", "25P03")
_REFUSED = {
    "28": ("the database refuses this user or password", "Check both in the URL."),
    "3D": ("there is no such database", "Create it first: createdb NAME."),
    "42501": ("this user lacks a right", "Let the database's owner run `emrobust store upgrade`."),
    "P0001": ("the row may not be changed", "What was recorded stays as it is."),
    "42P01": ("its tables are missing", "Run `emrobust store upgrade` on it."),
}
# A server that vanished without a word is noticed within half a minute.
_NETWORK = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
_WAIT = "Nothing of this call was acknowledged; the same call is right once it is back."


@final
class Database:
    """Transactions on one database, with every refusal translated.

    Attributes:
        name: how messages call it; without user and password.
        dialect: ``sqlite`` or ``postgresql``.
    """

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self.name = name
        self.dialect = engine.dialect.name
        self.engine = engine
        self._writing = engine.execution_options(immediate=True)

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is on disk when the block ends; on SQLite the only one that writes.

        Raises:
            UnavailableError: the database is away or busy.
            StorageError: its disk is full, or it may not be written.
            StoreError: it refuses for another reason.
        """
        with self._explained(), self._writing.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads; it raises what `write` raises."""
        with self._explained(), self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """`read`, where everything is of one moment however long it takes."""
        engine = self.engine
        if self.dialect == "postgresql":  # on SQLite every transaction is
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with self._explained(), engine.begin() as connection:
            yield connection

    def lock(self, connection: sa.Connection) -> None:
        """Wait until no other transaction holds this lock; it is freed with the transaction."""
        if self.dialect == "postgresql":  # on SQLite `write` holds it already
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            raise explain(error, self.name) from None
        except exc.TimeoutError:
            raise UnavailableError(f"{self.name}: all connections are in use", _WAIT) from None


def connect(url: str, *, create: bool = True) -> Database:
    """The database at a URL, or the SQLite file at a path; nothing is asked of it yet.

    Args:
        url: ``sqlite:///file.db``, ``postgresql://user:${NAME}@host/database`` or a file's path;
            ``${NAME}`` takes an environment variable.
        create: make an SQLite file that is not there.

    Raises:
        StoreError: the URL cannot be understood, or names another kind of database.
        ConfigError: it names an environment variable that is not set.
        StorageError: the SQLite file cannot be made.
    """
    parsed = _parse(url)
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return _open_file(parsed.database, create=create)
    if kind != "postgresql":
        raise StoreError(f"a store cannot be in {kind}", "It can be in SQLite or PostgreSQL.")
    return _open_server(parsed)


def is_absent(url: str) -> bool:
    """Whether a store is surely not there: an SQLite file that is missing; no server is asked."""
    parsed = _parse(url)
    return parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file()


def _parse(url: str) -> sa.URL:
    expanded = config.expand_variables(url, "the store's URL")
    if not _URL.match(expanded):
        if _MEANT.search(expanded):
            raise _misunderstood()  # it may hold a password, so it is not shown
        return sa.URL.create("sqlite", database=expanded)
    try:
        return sa.make_url(expanded)
    except (exc.ArgumentError, ValueError):
        raise _misunderstood() from None


def _misunderstood() -> StoreError:
    return StoreError(
        "the store's URL cannot be understood",
        "Write a file's path, or postgresql://user:${PASSWORD}@host:5432/database.",
    )


def _open_file(database: str | None, *, create: bool) -> Database:
    if not database or database == ":memory:":
        raise StoreError("a store in memory would be lost", "Name a file: sqlite:///store.db")
    path = Path(database)
    if create:
        _make_private(path)
    elif not path.is_file():
        raise StoreError(f"the store {path} does not exist", "`emrobust store upgrade` makes one.")
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_SECONDS},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not by the driver's guess
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return Database(engine, path.name)


def _make_private(path: Path) -> None:
    """An empty file that its owner alone can read; SQLite gives its journal the same rights."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise StorageError(f"the store {path} cannot be made ({error.strerror})") from None


def _open_server(url: sa.URL) -> Database:
    name = f"{url.host or 'postgresql'}/{url.database or ''}"
    try:
        engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args=_NETWORK,
            pool_pre_ping=True,  # after the server came back, old connections are dead
            hide_parameters=True,
        )
    except (exc.ArgumentError, TypeError, ValueError):
        raise _misunderstood() from None

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = on")
            cursor.execute("SET lock_timeout = '10s'")
            # A process that hangs must not keep the right to append for ever.
            cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
        connection.commit()

    return Database(engine, name)


def explain(error: exc.DBAPIError, name: str) -> EmrobustError:
    """What a driver's error means for the user; nothing of its message."""
    if isinstance(error.orig, sqlite3.Error):
        return _explain_file(error.orig, name)
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if state == "53100":
        return _full(name)
    for start, (what, hint) in _REFUSED.items():
        if state.startswith(start):
            return StoreError(f"the store {name}: {what}", hint)
    if not state and isinstance(error, exc.OperationalError):
        return _of_connection(str(error.orig), name)
    if state.startswith(_AWAY) or error.connection_invalidated:
        return UnavailableError(f"the store {name} is away or busy ({state or 'lost'})", _WAIT)
    return StoreError(f"the store {name} refuses ({type(error.orig).__name__} {state})".rstrip())


def _of_connection(said: str, name: str) -> EmrobustError:
    """While connecting the driver gives no code, only words; they are looked at and not shown."""
    if any(words in said for words in _NOT_ADMITTED):
        what, hint = _REFUSED["28"]
    elif "database" in said and "does not exist" in said:
        what, hint = _REFUSED["3D"]
    else:
        return UnavailableError(f"the store {name} does not answer", _WAIT)
    return StoreError(f"the store {name}: {what}", hint)


def _explain_file(error: sqlite3.Error, name: str) -> EmrobustError:
    code = getattr(error, "sqlite_errorname", "")
    if code == "SQLITE_FULL" or code.startswith("SQLITE_IOERR"):
        return _full(name)
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
        return UnavailableError(f"the store {name} is busy", _WAIT)
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return StorageError(
            f"the store {name} may not be written", "Check the rights of the file and its folder."
        )
    if code == "SQLITE_CONSTRAINT_TRIGGER":
        return StoreError(f"the store {name}: the row may not be changed", _REFUSED["P0001"][1])
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return StoreError(f"{name} is no store, or is damaged", "Restore it from a backup.")
    return StoreError(f"the store {name} refuses ({type(error).__name__} {code})".rstrip())


def _full(name: str) -> StorageError:
    return StorageError(
        f"the store {name} cannot be written: its disk is full or fails",
        "Free some space; what was acknowledged is safe, and the service goes on by itself.",
    )

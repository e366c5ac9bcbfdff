"""Databases by SQLAlchemy URL, and SQLite files by path; rows are streamed, never all held.

Messages name the database without its password. What a driver says is passed on only where
it cannot hold a record's text: while connecting, and for errors in the query itself.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import exc

from emrobust.config import Source
from emrobust.errors import SourceError, did_you_mean
from emrobust.ingest.table import Batch, Table, decode, gather

SUFFIXES = (".db", ".sqlite", ".sqlite3")
FETCH_ROWS = 2000
PAUSES = (0.5, 1.0, 2.0)  # seconds before each further attempt to connect

# SQLSTATE classes whose message names only what the user wrote: the query and its names.
_OF_QUERY = ("42", "3D", "3F", "28")
_LOST = ("08", "57P")
_SQLITE_OF_QUERY = ("no such ", "near ", "ambiguous column", "file is not a database")


def open_file(settings: Source, path: Path) -> Table:
    """Open an SQLite file; without a table or query in the settings, its only table.

    Raises:
        SourceError: not an SQLite database, or no such table.
    """
    uri = f"file:{quote(str(path.resolve()))}?mode=ro"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        connection.text_factory = decode
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.NullPool)
    return _open(engine, settings, path.name, "SQLite")


def open_url(settings: Source) -> Table:
    """Open the database at the URL of the settings.

    Raises:
        SourceError: the URL is wrong, its driver is missing, nobody answers, the password is
            refused, or there is no such table.
    """
    try:
        url = sa.make_url(settings.connection())
    except (exc.ArgumentError, ValueError):
        raise SourceError(
            "the database URL in [source] cannot be understood",
            "Write it as postgresql://user:${PASSWORD}@host:5432/database.",
        ) from None
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        path = Path(url.database)
        if not path.is_file():
            raise SourceError(f"the SQLite file {path} does not exist", "Check the path in url.")
        return open_file(settings, path)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    name = f"{url.host or url.get_backend_name()}/{url.database or ''}"
    try:
        engine = sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True)
    except (exc.ArgumentError, ImportError):
        raise SourceError(
            f"there is no driver for {url.drivername} databases here",
            "Install it with pip beside emrobust, or name another: postgresql+psycopg://…",
        ) from None
    return _open(engine, settings, name, url.get_backend_name(), url.password)


def _open(
    engine: sa.Engine, settings: Source, name: str, kind: str, password: object = None
) -> Table:
    connect = partial(_connect, engine, name, str(password or ""))
    statement: sa.TextClause | sa.Select[Any]
    with connect() as connection:
        try:
            if settings.query is not None:
                # A colon is a colon, as in the database's own console, not a parameter.
                statement = sa.text(settings.query.replace(":", r"\:"))
                with _start(connection, statement) as result:
                    header = list(result.keys())
                name = f"the query on {name}"
            else:
                table = _find_table(connection, settings.table, name)
                statement = _select(connection, *table)
                header = statement.selected_columns.keys()
                name = f"{name}, table `{table[1]}`"
        except exc.DBAPIError as error:
            raise _explain(error, name, 0) from None
        except exc.ResourceClosedError:
            raise SourceError(f"the query on {name} gives no rows; it should SELECT them") from None
    return Table(name, header, partial(_read, connect, name, statement), {"format": kind})


def _connect(engine: sa.Engine, name: str, password: str) -> sa.Connection:
    for pause in (*PAUSES, None):
        try:
            return engine.connect()
        except exc.DBAPIError as error:
            reason = str(error.orig).strip().partition("\n")[0]
            reason = reason.replace(password, "***") if password else reason
            refused = any(word in reason for word in ("password", "role", "does not exist"))
            if refused or pause is None:
                raise SourceError(
                    f"no connection to the database {name}: {reason}",
                    "Check user, password, host and port of url, and that this machine may connect."
                    if refused
                    else "Is it running, and are host and port right?",
                ) from None
            time.sleep(pause)
    raise AssertionError("unreachable")


def _find_table(connection: sa.Connection, wanted: str | None, name: str) -> tuple[str | None, str]:
    """Schema and name of the table; a dot may also be part of a name."""
    inspector = sa.inspect(connection)
    tables = [*inspector.get_table_names(), *inspector.get_view_names()]
    if wanted is None and len(tables) != 1:
        raise SourceError(
            f"{name} has {len(tables)} tables and views: {', '.join(sorted(tables)[:50])}",
            'Name one in [source]: table = "…", or write a query.',
        )
    if wanted is None or wanted in tables:
        return None, wanted or tables[0]
    schema, _, table = wanted.rpartition(".")
    known = (
        (*inspector.get_table_names(schema), *inspector.get_view_names(schema)) if schema else ()
    )
    if table in known:
        return schema, table
    raise SourceError(f"{name} has no table `{wanted}`.", did_you_mean(wanted, tables))


def _select(connection: sa.Connection, schema: str | None, table: str) -> sa.Select[Any]:
    columns = sa.inspect(connection).get_columns(table, schema)
    named: list[sa.ColumnClause[Any]] = [sa.column(column["name"]) for column in columns]
    return sa.select(*named).select_from(sa.table(table, schema=schema))


def _start(
    connection: sa.Connection, statement: sa.TextClause | sa.Select[Any]
) -> sa.CursorResult[Any]:
    options = {"stream_results": True, "max_row_buffer": FETCH_ROWS}
    return connection.execute(statement, execution_options=options)


def _read(
    connect: Callable[[], sa.Connection],
    name: str,
    statement: sa.TextClause | sa.Select[Any],
    positions: Sequence[int],
) -> Iterator[Batch]:
    if isinstance(statement, sa.Select):
        columns = list(statement.selected_columns)
        statement = statement.with_only_columns(*(columns[place] for place in positions))
        positions = range(len(positions))
    return gather(_rows(connect, name, statement, positions))


def _rows(
    connect: Callable[[], sa.Connection],
    name: str,
    statement: sa.TextClause | sa.Select[Any],
    positions: Sequence[int],
) -> Iterator[tuple[int, Sequence[Any]]]:
    number = 0
    with connect() as connection:
        try:
            with _start(connection, statement) as result:
                for row in result.yield_per(FETCH_ROWS):
                    number += 1
                    yield number, [row[place] for place in positions]
        except exc.DBAPIError as error:
            raise _explain(error, name, number) from None


def _explain(error: exc.DBAPIError, name: str, row: int) -> SourceError:
    state = str(getattr(error.orig, "sqlstate", None) or "")
    said = str(error.orig).strip().partition("\n")[0]
    if state.startswith(_LOST) or error.connection_invalidated:
        return SourceError(
            f"{name}: the database dropped the connection after row {row}",
            "Nothing was written; starting the same command again is safe.",
        )
    of_query = state.startswith(_OF_QUERY) or said.startswith(_SQLITE_OF_QUERY)
    reason = f": {said}" if of_query else f" ({type(error.orig).__name__} {state})".rstrip()
    where = f" after row {row}" if row else ""
    return SourceError(
        f"{name} cannot be read{where}{reason}",
        "Check table and query in [source] by running them in the database's own console.",
    )

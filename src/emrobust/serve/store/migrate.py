"""Bring a database to this version's schema: alembic's migrations, run from the package.

Alembic is only imported where there is something to do, so that a service starts quickly.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from emrobust.errors import StoreError
from emrobust.serve.store.database import Database
from emrobust.serve.store.schema import TABLES, VERSION, VERSION_TABLE

SCRIPTS = Path(__file__).parent / "migrations"


def version(connection: sa.Connection) -> str | None:
    """The version that a database has; None for one without our tables.

    Raises:
        StoreError: it holds other tables under our names.
    """
    present = set(sa.inspect(connection).get_table_names())
    if VERSION_TABLE not in present:
        if strange := sorted(present & set(TABLES.tables)):
            raise StoreError(
                f"the database holds other tables under the store's names: {', '.join(strange)}",
                "Give the store a database of its own.",
            )
        return None
    table = sa.table(VERSION_TABLE, sa.column("version_num"))
    found = connection.execute(sa.select(table.c.version_num)).scalar()
    return None if found is None else str(found)


def require(database: Database) -> None:
    """Refuse a database that is not of this version.

    Raises:
        StoreError: it is empty, older or newer.
    """
    with database.read() as connection:
        found = version(connection)
    _refuse_newer(found, database.name)
    if found != VERSION:
        raise StoreError(
            f"the store {database.name} is {f'of version {found}' if found else 'empty'}; "
            f"this program needs version {VERSION}",
            "Run `emrobust store upgrade` on it.",
        )


def upgrade(database: Database) -> bool:
    """Run the migrations that are missing, all or nothing; whether there were any.

    Raises:
        StoreError: the store is newer than this program, or the database holds other tables.
    """
    with database.read() as connection:
        found = version(connection)
    _refuse_newer(found, database.name)
    if found == VERSION:
        return False
    with database.write() as connection:
        database.lock(connection)
        # Another process may have done it while this one waited for its turn.
        if version(connection) == VERSION:
            return False
        _run(connection)
    return True


def _refuse_newer(found: str | None, name: str) -> None:
    if found is not None and found > VERSION:  # versions are numbers of four digits
        raise StoreError(
            f"the store {name} is of version {found}; this program knows versions up to {VERSION}",
            "Update emrobust, or use the store that belongs to this version.",
        )


def _run(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415 - a third of a second, and seldom needed
    from alembic.config import Config  # noqa: PLC0415 - the same

    settings = Config()
    settings.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")

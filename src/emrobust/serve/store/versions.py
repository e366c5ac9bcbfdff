"""Which model versions the service knows, and which of each name answers.

ready ⇄ active     one version of a name answers
ready ⇄ shadow     scores silently beside it
any   → retired    is not loaded any more, until it is registered again
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import sqlalchemy as sa

from emrobust.errors import InputError, InUseError, NotFoundError, StoreError, did_you_mean
from emrobust.serve.store import chain, clock
from emrobust.serve.store.database import Database
from emrobust.serve.store.entries import Event, short, to_rows
from emrobust.serve.store.schema import JOBS, MODELS

State = Literal["ready", "active", "shadow", "retired"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Version:
    """A model version.

    Attributes:
        name: of the model.
        version: of the package.
        checksum: SHA-256 of the package's manifest, in hex.
        path: of the package's folder.
        state: ready, active, shadow or retired.
        at: when the state was set.
        actor: by whom.
    """

    name: str
    version: str
    checksum: str
    path: str
    state: State
    at: str
    actor: str

    @property
    def full_name(self) -> str:
        """``name@version``, as predictions and the log have it."""
        return f"{self.name}@{self.version}"


def register(
    database: Database, *, name: str, version: str, checksum: str, path: str, actor: str
) -> Version:
    """Make a version known as ready; one that is known already keeps its state, unless retired.

    Its folder is the one that is given, since it may have been moved.

    Raises:
        StoreError: the same version is known with another checksum.
    """
    # Half of the longest each, so that ``name@version`` fits a column.
    made = Version(
        short(name, "name", 99),
        short(version, "version", 99),
        short(checksum, "checksum", 64),
        short(path, "path", 1000),
        "ready",
        clock.now(),
        short(actor, "actor"),
    )
    with database.write() as connection:
        database.lock(connection)
        found = (
            connection.execute(sa.select(MODELS).where(_is(name, version))).mappings().one_or_none()
        )
        if found is not None:
            if found["checksum"] != checksum:
                raise StoreError(
                    f"version {version} of {name} is known with another checksum",
                    "Export the package under a new version.",
                )
            known = _read(found)
            again = made if known.state == "retired" else replace(known, path=made.path)
            connection.execute(sa.update(MODELS).where(_is(name, version)).values(vars(again)))
            if known.state == "retired":
                _tell(database, connection, actor, "model ready", again)
            return again
        connection.execute(sa.insert(MODELS), [vars(made)])
        _tell(database, connection, actor, "model registered", made)
    return made


def switch(
    database: Database, *, name: str, version: str, state: str, actor: str, lost: bool = False
) -> Version:
    """Set a version's state; the version that was active before becomes ready.

    Args:
        database: where the versions are.
        name: of the model.
        version: of the model.
        state: ready, active, shadow or retired.
        actor: by whom.
        lost: its package cannot be loaded any more, so its unfinished jobs hold nothing up.

    Raises:
        NotFoundError: there is no such version.
        InUseError: it is to be retired, and unfinished batch jobs need it.
        InputError: there is no such state.
    """
    if state not in STATES:
        raise InputError(f"there is no state {state!r}", did_you_mean(state, STATES))
    of_version = _is(name, version)
    values = {"state": state, "at": clock.now(), "actor": short(actor, "actor")}
    with database.write() as connection:
        database.lock(connection)  # two at once would leave two active
        if connection.execute(sa.select(MODELS).where(of_version)).one_or_none() is None:
            raise NotFoundError("there is no such model version")
        if state == "retired" and not lost:
            _check_unused(connection, f"{name}@{version}")
        if state == "active":
            others = sa.and_(MODELS.c.name == name, MODELS.c.state == "active", ~of_version)
            connection.execute(sa.update(MODELS).where(others).values({**values, "state": "ready"}))
        connection.execute(sa.update(MODELS).where(of_version).values(values))
        changed = _read(connection.execute(sa.select(MODELS).where(of_version)).mappings().one())
        _tell(database, connection, actor, f"model {state}", changed)
    return changed


def every(database: Database, name: str | None = None) -> list[Version]:
    """All versions, or those of one name; by name and version."""
    asked = (sa.select(MODELS) if name is None else _of(name)).order_by(
        MODELS.c.name, MODELS.c.version
    )
    with database.read() as connection:
        return [_read(row) for row in connection.execute(asked).mappings()]


def is_retired(connection: sa.Connection, full_name: str) -> bool:
    """Whether a version, as ``name@version``, is known as retired."""
    name, _, version = full_name.rpartition("@")
    asked = sa.select(MODELS.c.state).where(_is(name, version))
    return connection.execute(asked).scalar_one_or_none() == "retired"


def _check_unused(connection: sa.Connection, full_name: str) -> None:
    unfinished = sa.and_(JOBS.c.model == full_name, JOBS.c.finished.is_(None))
    jobs = connection.execute(sa.select(sa.func.count()).where(unfinished)).scalar_one()
    if jobs:
        raise InUseError(
            f"{jobs} unfinished batch job(s) need {full_name}",
            "Wait until they end, or cancel them; GET /v1/batch lists all to an administrator.",
        )


def _of(name: str) -> sa.Select[Any]:
    return sa.select(MODELS).where(MODELS.c.name == name)


def _is(name: str, version: str) -> sa.ColumnElement[bool]:
    return sa.and_(MODELS.c.name == name, MODELS.c.version == version)


def _tell(
    database: Database, connection: sa.Connection, actor: str, action: str, version: Version
) -> None:
    detail = {"checksum": version.checksum}
    event = Event(actor=actor, action=action, model=version.full_name, detail=detail)
    chain.append(database, connection, [to_rows(event).audit])


def _read(row: sa.RowMapping) -> Version:
    return Version(**dict(row))

"""The audit log's chain: every row's hash covers the row and the hash before it.

A row that is changed, left out or put in breaks the chain at its place. What the chain alone
cannot show is a log whose end was cut off, or that was rewritten from some row on with all hashes
computed anew; an `Anchor` that is kept elsewhere shows both.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from emrobust import runs
from emrobust.errors import ChainError, InputError
from emrobust.serve.store import clock
from emrobust.serve.store.database import Database
from emrobust.serve.store.entries import canonical, digest
from emrobust.serve.store.schema import AUDIT, FEEDBACK, PREDICTIONS

START = "0" * 64  # what stands before the first row
_AT_ONCE = 2000
_RECORDED = (("predicted", PREDICTIONS), ("feedback", FEEDBACK))


@dataclass(frozen=True)
class Anchor:
    """How many rows a log had, and the hash of the last one."""

    rows: int
    head: str
    at: str


@dataclass(frozen=True)
class Verified:
    """A log that is whole.

    Attributes:
        rows: of the log.
        head: the last row's hash.
        kept: predictions and feedback that are there, each as the log says.
        removed: those that the log tells of and that were deleted since.
    """

    rows: int
    head: str
    kept: int
    removed: int

    def anchor(self) -> Anchor:
        """What to keep elsewhere."""
        return Anchor(self.rows, self.head, clock.now())


def link(row: Mapping[str, Any], previous: str) -> str:
    """The hash of a row of the log, whatever its ``hash`` says, after the row before it; hex."""
    content = {name: value for name, value in row.items() if name != "hash"}
    return hashlib.sha256(canonical({**content, "previous": previous}).encode()).hexdigest()


def append(database: Database, connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows at the end, in order, inside a transaction that writes; one writer at a time."""
    database.lock(connection)
    last = sa.select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1)
    found = connection.execute(last).one_or_none()
    seq, previous = (found.seq, found.hash) if found else (0, START)
    linked = []
    for number, row in enumerate(rows, seq + 1):
        placed = {**row, "seq": number}
        previous = link(placed, previous)
        linked.append({**placed, "hash": previous})
    if linked:
        connection.execute(sa.insert(AUDIT), linked)


def verify(database: Database, *anchors: Anchor) -> Verified:
    """Walk the whole chain, then hold predictions and feedback against it; memory stays flat.

    Args:
        database: where the log is.
        anchors: what must be the log's beginning, each.

    Raises:
        ChainError: names the first row that is not what was written, or is missing.
    """
    with database.snapshot() as connection:
        with _stream(connection, sa.select(AUDIT).order_by(AUDIT.c.seq)) as log:
            rows, head = follow(log, *anchors)
        kept = removed = 0
        for action, table in _RECORDED:
            present = _compare(connection, table, action)
            told = sa.select(sa.func.count()).where(AUDIT.c.action == action)
            kept += present
            removed += int(connection.execute(told).scalar_one()) - present
    return Verified(rows, head, kept, removed)


def follow(rows: Iterable[Mapping[str, Any]], *anchors: Anchor) -> tuple[int, str]:
    """The number of rows and the last hash of a chain, given in order.

    Raises:
        ChainError: names the first row that is wrong.
    """
    number, previous = 0, START
    for number, row in enumerate(rows, 1):
        if row["seq"] != number:
            raise ChainError(f"row {number} of the audit log is missing", _TAMPERED)
        previous = link(row, previous)
        if row["hash"] != previous:
            raise ChainError(
                f"row {number} of the audit log, or a row before it, is not what was written",
                _TAMPERED,
            )
        if any(anchor.rows == number and anchor.head != previous for anchor in anchors):
            raise ChainError(
                f"rows 1 to {number} of the audit log are not those of the anchor", _TAMPERED
            )
    known = max((anchor.rows for anchor in anchors), default=0)
    if number < known:
        raise ChainError(
            f"the audit log ends at row {number}; its anchor knows {known} rows", _TAMPERED
        )
    return number, previous


def _compare(connection: sa.Connection, table: sa.Table, action: str) -> int:
    """Number of rows of a table, each equal to what the log says of it."""
    told = AUDIT.c.digest.label("told"), AUDIT.c.action.label("action")
    query = sa.select(table, *told).join_from(
        table, AUDIT, AUDIT.c.event == table.c.id, isouter=True
    )
    with _stream(connection, query) as rows:
        return sum(_agrees(table, action, found) for found in rows)


def _agrees(table: sa.Table, action: str, found: Mapping[str, Any]) -> bool:
    """True for a row that the log knows as it is; anything else is an error."""
    row = {column.name: found[column.name] for column in table.c}
    if found["action"] != action:
        raise ChainError(f"{table.name}: the audit log knows nothing of {row['id']}", _TAMPERED)
    if found["told"] != digest(row):
        raise ChainError(f"{table.name}: {row['id']} is not what was written", _TAMPERED)
    return True


@contextlib.contextmanager
def _stream(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Iterator[dict[str, Any]]]:
    """Rows, some at a time; the cursor is closed even where a reader stops early."""
    with connection.execute(query, execution_options={"yield_per": _AT_ONCE}) as result:
        yield (dict(row) for row in result.mappings())


def write_anchor(path: Path, anchor: Anchor) -> None:
    """Write an anchor file, all or nothing; keep it where the store's writer cannot write."""
    runs.write_json(path, asdict(anchor))


def read_anchor(path: Path) -> Anchor:
    """Read an anchor file.

    Raises:
        InputError: it is missing or no anchor.
    """
    if not path.is_file():
        raise InputError(f"the anchor {path} does not exist", "Write one with --write-anchor.")
    try:
        return Anchor(**runs.read_json(path))
    except TypeError:
        raise InputError(f"{path} is no anchor of an audit log") from None


_TAMPERED = (
    "Somebody changed the database past this program, or it was restored from a backup. "
    "Keep a copy as it is, and compare it with the last backup."
)

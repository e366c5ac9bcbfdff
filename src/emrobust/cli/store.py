"""``emrobust store``, ``audit`` and ``keys``: look after the service's database."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emrobust.serve.store import Database

Url = Annotated[
    str,
    typer.Argument(
        metavar="URL", help="SQLite file, or postgresql://user:${PASSWORD}@host:5432/database."
    ),
]

store_app = typer.Typer(help="The service's database.", no_args_is_help=True)
audit_app = typer.Typer(help="The audit log of the service.", no_args_is_help=True)
keys_app = typer.Typer(help="API keys of the service.", no_args_is_help=True)


@store_app.command(name="upgrade")
def run_upgrade(url: Url) -> None:
    """Bring a database to this version's schema; an empty one gets all of it."""
    from emrobust.serve import store
    from emrobust.serve.store.schema import VERSION

    database = store.connect(url)
    changed = store.upgrade(database)
    typer.echo(f"{database.name}: {'upgraded to' if changed else 'is of'} version {VERSION}")


@store_app.command(name="erase")
def run_erase(
    url: Url,
    record_id: Annotated[str, typer.Argument(help="That the predictions have.")],
) -> None:
    """Erase the texts and comments that were kept of a record; the audit log stays whole."""
    from emrobust.serve import store

    erased = store.erase(_open(url), record_id, who())
    typer.echo(f"{erased:,} texts and comments erased")


@audit_app.command(name="verify")
def run_verify(
    url: Url,
    anchor: Annotated[
        Path | None, typer.Option("--anchor", help="File that says how far the log had come.")
    ] = None,
    write_anchor: Annotated[
        Path | None,
        typer.Option(
            "--write-anchor",
            help="File to write if all is well, or to bring up to date if the log still begins as "
            "it says; keep it elsewhere.",
        ),
    ] = None,
) -> None:
    """Prove that no row of the audit log was changed, left out or put in."""
    from emrobust.serve import store

    database = _open(url)
    # An anchor that is there already is what a log that was cut off must not replace.
    before = write_anchor if write_anchor is not None and write_anchor.exists() else None
    known = [store.read_anchor(path) for path in (anchor, before) if path is not None]
    verified = store.verify(database, *known)
    typer.echo(f"{verified.rows:,} rows, none changed; head {verified.head}")
    typer.echo(
        f"{verified.kept:,} predictions and feedback as the log says, "
        f"{verified.removed:,} deleted since"
    )
    if write_anchor is not None:
        store.write_anchor(write_anchor, verified.anchor())
        typer.echo(f"anchor: {write_anchor}{', the first there' if before is None else ''}")


@keys_app.command(name="add")
def run_add(
    url: Url,
    name: Annotated[str, typer.Option("--name", help="Whose or what the key is for.")],
    role: Annotated[
        str, typer.Option("--role", help="clinician, reviewer or administrator.")
    ] = "clinician",
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=36500, help="Valid so long; absent: no end.")
    ] = None,
) -> None:
    """Make a key; it is shown this once."""
    import datetime as dt

    from emrobust.serve.store import keys

    lifetime = None if days is None else dt.timedelta(days=days)
    token, key = keys.add(_open(url), name=name, role=role, actor=who(), lifetime=lifetime)
    typer.echo(token)
    typer.echo(f"{key.role} {key.prefix}, until {key.expires or 'it is revoked'}", err=True)
    typer.echo("It is not stored and cannot be shown again.", err=True)


@keys_app.command(name="list")
def run_list(url: Url) -> None:
    """List all keys, without their secrets."""
    from emrobust.serve.store import keys

    for key in keys.every(_open(url)):
        until = (key.expires or "no end")[:10]
        typer.echo(f"{key.prefix}  {key.role:<13}  {key.state():<7}  {until:<10}  {key.name}")


@keys_app.command(name="revoke")
def run_revoke(
    url: Url, prefix: Annotated[str, typer.Argument(help="As `emrobust keys list` shows it.")]
) -> None:
    """Refuse a key from now on."""
    from emrobust.serve.store import keys

    key = keys.revoke(_open(url), prefix, who())
    typer.echo(f"{key.prefix} is revoked since {key.revoked}")


def _open(url: str) -> Database:
    from emrobust.serve import store
    from emrobust.serve.store import migrate

    database = store.connect(url, create=False)
    migrate.require(database)
    return database


def who() -> str:
    """Who sits at this machine, for the log."""
    return f"console {getpass.getuser()}"[:200]

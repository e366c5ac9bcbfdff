"""``emrobust serve``: answer requests with one or more packages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emrobust.serve.service import Service


def run_serve(
    packages: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PACKAGE…", help="Folders that `emrobust export` wrote, or NAME@VERSION=FOLDER."
        ),
    ] = None,
    *,
    config: Annotated[
        Path | None, typer.Option("--config", help="serve.toml; docs/operations.md lists the keys.")
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="The same as --set store.url=…")
    ] = None,
    host: Annotated[str | None, typer.Option("--host")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535)] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Overrides the file; repeatable."),
    ] = None,
) -> None:
    """Answer requests with one or more packages, and show the page for doctors."""
    from emrobust.serve import catalog, run, service
    from emrobust.serve import settings as room

    named = {"store.url": store, "serve.host": host, "serve.port": port}
    given = [f"{key}={value}" for key, value in named.items() if value is not None]
    loaded = room.load(config, [*(settings or ()), *given])
    opened = service.open_service(loaded, [catalog.parse(word) for word in packages or ()])

    def tell(address: str) -> None:
        # A key is shown once, so it is made when nothing stands in the way of the service any more.
        _greet(opened)
        typer.echo(address)

    run.run(opened, tell)


def _greet(opened: Service) -> None:
    """Say which models answer; make a first key where there is none."""
    from emrobust.serve.store import keys

    for served in opened.catalog:
        report = served.package.report
        typer.echo(f"{served.full_name} is {served.version.state}; {report.line()}")
    if not keys.every(opened.store.database):
        token, _ = keys.add(
            opened.store.database, name="first key", role="administrator", actor="console"
        )
        typer.echo(f"first key (administrator, shown this once): {token}")

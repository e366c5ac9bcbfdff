"""``emrobust retrain``: doctors' feedback becomes a new training table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emrobust.cli.store import Url, who


def run_retrain(
    url: Url,
    project: Annotated[Path, typer.Option("--project", help="The project file of the model.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it is made if absent.")],
    *,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The hospital's table; else the project's own source."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="The run whose splits stay as they are.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Whose feedback; needed where several models have some."),
    ] = None,
    text_key: Annotated[
        Path | None, typer.Option("--text-key", help="Opens the texts that the store kept.")
    ] = None,
) -> None:
    """Join feedback with the hospital's table: a new table, and a project file that trains it."""
    from emrobust import config
    from emrobust.serve import store
    from emrobust.serve.retrain.retrain import PROJECT, retrain

    given = config.load(project)
    settings = store.StoreSettings(url=url, upgrade=False, text_key=text_key)
    with store.open_store(settings) as opened:
        made = retrain(opened, given, out, data=data, run=run, model=model, actor=who())
    for line in made.lines():
        typer.echo(line)
    typer.echo(f"train it: emrobust train {out / PROJECT} --out RUN")

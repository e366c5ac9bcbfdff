"""The command `emrobust study`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emrobust.cli.app import Out, Overrides


def run_study(
    name: Annotated[str, typer.Argument(help="A study of the package (paper), or its TOML file.")],
    out: Out,
    *,
    project: Annotated[
        Path | None, typer.Option("--project", help="Project file; absent: a made-up clinic.")
    ] = None,
    records: Annotated[int, typer.Option(min=400, help="Visits of the made-up clinic.")] = 20_000,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions of every row.")] = 5,
    rows: Annotated[str, typer.Option(help="Keys of the rows to train; absent: all.")] = "",
    parallel: Annotated[
        int | None,
        typer.Option(min=1, help="Trainings at a time; absent: 1, with --quick all processors."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Run every part on little, to see that it runs.")
    ] = False,
    settings: Overrides = None,
) -> None:
    """Train many recipes with several seeds and compare them; it goes on where it was."""
    from emrobust.pipeline import study  # late: it imports torch

    only = tuple(filter(None, rows.split(",")))
    size = study.Size(records, seeds, parallel, only, quick)
    found = study.run(name, out, project, settings or (), size)
    for cell, why in found.failed.items():
        typer.echo(f"  {cell} failed: {why}")
    typer.echo(f"tables: {out / study.MARKDOWN}")
    if found.failed:
        raise typer.Exit(1)

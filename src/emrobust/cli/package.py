"""``emrobust export``: a run becomes a package that can leave the lab."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run_export(
    run: Annotated[Path, typer.Argument(help="A run folder that `emrobust train` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; a package is replaced.")],
    *,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Its prepared folder, if that was moved."),
    ] = None,
    cases: Annotated[
        int,
        typer.Option(min=0, help="Training records to show as similar, if the project allows it."),
    ] = 0,
    least_patients: Annotated[
        int, typer.Option(min=2, help="Nothing is told that fewer training patients share.")
    ] = 10,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="A folder that `emrobust evaluate` wrote of the run."),
    ] = None,
) -> None:
    """Write a package: model, tokenizer, thresholds, calibration, card, self-test, checksums."""
    from emrobust.pipeline.export import export

    made = export(run, out, data, cases=cases, least=least_patients, report=report)
    typer.echo(made.report.line())
    for note in made.notes:
        typer.echo(f"  {note}")
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    typer.echo(f"package ({size / 1e6:.1f} MB): {out}")

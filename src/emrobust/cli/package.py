"""``emrobust export``: a run becomes a package that can leave the lab."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run_export(
    run: Annotated[Path, typer.Argument(help="A run folder that `emrobust train` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; a package is replaced.")],
) -> None:
    """Write a package: model, tokenizer, thresholds, calibration, card, self-test, checksums."""
    from emrobust.package.export import export

    made = export(run, out)
    typer.echo(made.report.line())
    for note in made.notes:
        typer.echo(f"  {note}")
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    typer.echo(f"package ({size / 1e6:.1f} MB): {out}")

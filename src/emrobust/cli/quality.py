"""``emrobust quality``: what may be wrong in prepared records, and corrections back in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def run_quality(
    prepared: Annotated[Path, typer.Argument(help="A folder that `emrobust prepare` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it is made if absent.")],
    *,
    corrections: Annotated[
        Path | None,
        typer.Option("--corrections", help="A sheet's export: write a corrected folder to --out."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Records on the sheet.")] = 200,
    folds: Annotated[int, typer.Option(min=2, max=20, help="Of the judging models.")] = 5,
    seed: Annotated[int, typer.Option(min=0)] = 20260101,
    language: Annotated[
        Literal["", "zh", "en"], typer.Option(help="Of the page; else the project's.")
    ] = "",
) -> None:
    """Find likely wrong labels, unsupported texts and conflicting duplicates; correct them."""
    from emrobust.pipeline import quality

    if corrections is not None:
        changed = quality.correct(prepared, corrections, out)
        typer.echo(f"{changed:,} records have other labels: {out}")
        return
    found = quality.check_quality(prepared, out, top=top, folds=folds, seed=seed, language=language)
    of = found.mislabels
    typer.echo(f"{of.rows:,} records, {of.confident:,} of them likely mislabelled")
    if found.support is not None:
        asked = len(found.support.cosine)
        typer.echo(
            f"{len(found.support.rows):,} of {asked:,} records outside training are unlike it"
        )
    typer.echo(f"{len(found.conflicts):,} texts occur with different labels")
    typer.echo(f"sheet: {out / quality.HTML}")

"""``emrobust card``: the model card of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def run_card(
    run: Annotated[Path, typer.Argument(help="A run folder that `emrobust train` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it is made if absent.")],
    *,
    answers: Annotated[
        Path | None,
        typer.Option("--answers", help="What only a person knows: card_open.toml, filled in."),
    ] = None,
    language: Annotated[
        Literal["", "zh", "en"], typer.Option(help="Of the card; else the project's.")
    ] = "",
) -> None:
    """Write a model card by TRIPOD+AI and MI-CLAIM, with what is left open for a person."""
    from emrobust.pipeline import card

    made = card.write_card(run, out, answers, language)
    left = sum(bool(item.open) for item in made.tripod)
    typer.echo(f"{len(made.tripod)} items of TRIPOD+AI, {left} with something left to state")
    typer.echo(f"card: {out / 'model_card.html'}")

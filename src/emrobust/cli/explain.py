"""``emrobust explain``: which words a prediction rests on, case by case."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def run_explain(
    run: Annotated[Path, typer.Argument(help="A run folder that `emrobust train` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it is made if absent.")],
    *,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The prepared folder, where it does not lie in the run."),
    ] = None,
    record: Annotated[
        list[str] | None,
        typer.Option("--record", help="A test record to explain; repeatable. Else the worst."),
    ] = None,
    cases: Annotated[
        int, typer.Option(min=1, help="So many false positives and so many false negatives.")
    ] = 10,
    sample: Annotated[
        int, typer.Option(min=0, help="Records on which methods are measured; 0: none.")
    ] = 100,
    method: Annotated[
        str, typer.Option(help="The method to show (`emrobust list explainers`); else the best.")
    ] = "",
    level: Annotated[
        Literal["word", "character"], typer.Option(help="What is highlighted.")
    ] = "word",
    language: Annotated[
        Literal["", "zh", "en"], typer.Option(help="Of the page; else the project's.")
    ] = "",
) -> None:
    """Show errors with the words that they rest on, what is missing, and what is near."""
    from emrobust.pipeline import explain

    wishes = explain.Wishes(tuple(record or ()), cases, sample, method, level, language)
    done = explain.explain(run, out, wishes, data)
    if done.faithfulness is not None:
        for of in done.faithfulness.methods:
            value = of.comprehensiveness
            typer.echo(
                f"  {of.name:<22} comprehensiveness {value.value:.3f}"
                f" [{value.low:.3f}, {value.high:.3f}]  sufficiency {of.sufficiency.value:.3f}"
            )
        shown = done.faithfulness.of(done.method)
        typer.echo(f"{shown.name} {'beats' if shown.beats else 'does NOT beat'} its references")
    typer.echo(f"{len(done.cases)} cases, shown by {done.method}: {out / explain.HTML}")

"""``emrobust attack``: how few changes of a text it takes to make a run fail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from emrobust.errors import ConfigError


def run_attack(
    run: Annotated[Path, typer.Argument(help="A run folder that `emrobust train` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it is made if absent.")],
    *,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The prepared folder, where it does not lie in the run."),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            help="A name (`emrobust list recipes`) or a TOML file of recipes of your own, with"
            " their constraints, budgets of edits and search; repeatable.",
        ),
    ] = None,
    goal: Annotated[
        str, typer.Option(help="What counts as a success (`emrobust list goals`).")
    ] = "",
    target: Annotated[str, typer.Option(help="The label that the goal `targeted` wants.")] = "",
    search: Annotated[
        str, typer.Option(help="How to look for it (`emrobust list searches`).")
    ] = "",
    records: Annotated[int, typer.Option(min=0, help="Test records to draw; 0: all.")] = 1000,
    budget: Annotated[int, typer.Option(help="Most queries of a record.")] = 200,
    examples: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Changed texts to show of each attack; else 10 of a synthetic clinic, none of"
            " real records.",
        ),
    ] = None,
    suite: Annotated[
        bool,
        typer.Option(
            "--suite",
            help="Put the attacked texts into the prepared folder, so that `emrobust evaluate`"
            " measures other runs on them.",
        ),
    ] = False,
    language: Annotated[
        Literal["", "zh", "en"], typer.Option(help="Of the page; else the project's.")
    ] = "",
) -> None:
    """Change texts as people do until the model fails, within what keeps their meaning."""
    from emrobust.pipeline import attack

    wishes = attack.Wishes(
        tuple(recipe or ()),
        _goal(goal, target),
        {"name": search} if search else {},
        records,
        budget,
        examples,
        language,
        suite,
    )
    for name, of in attack.attack(run, out, wishes, data).items():
        typer.echo(
            f"{name}: success rate {_rate(of.success_rate)} of"
            f" {of.successes + of.failures:,} records ({of.skipped:,} skipped)"
        )
        if of.untried:
            typer.echo(f"  in {of.untried:,} of them no change was allowed")
        typer.echo(
            f"  all decisions right {_rate(of.accuracy)} → {_rate(of.accuracy_under_attack)},"
            f" macro-F1 {of.scores.standard['macro_f1']:.3f} →"
            f" {of.scores.suite['macro_f1']:.3f}"
        )
        if of.edits is not None:
            typer.echo(f"  {of.edits:.1f} edits, {of.characters:.1%} of the characters")
        if of.queries is not None:
            typer.echo(f"  {of.queries:.0f} queries a record, at most {of.most_queries}")
    typer.echo(f"report: {out / attack.HTML}")


def _goal(name: str, target: str) -> dict[str, Any]:
    """The goal with its label.

    Raises:
        ConfigError: a label without the goal that takes one, or the goal without its label.
    """
    if (name == "targeted") != bool(target):
        raise ConfigError(
            "--goal targeted and --target LABEL belong together", "Give both, or neither."
        )
    return {"name": name} | ({"label": target} if target else {}) if name else {}


def _rate(of: Any) -> str:
    if of.value is None:
        return "unknown"
    bounds = f" [{of.interval[0]:.1%}, {of.interval[1]:.1%}]" if of.interval else ""
    return f"{of.value:.1%}{bounds}"

"""The demo: a made-up hospital, two models on it, and the report that compares them."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from emrobust import clinic, config
from emrobust.pipeline.evaluate import compare, evaluate
from emrobust.pipeline.prepare import describe, prepare
from emrobust.pipeline.train import train

MODELS: tuple[tuple[str, list[str]], ...] = (("tfidf", []), ("textcnn", ["train.epochs=8"]))


def run(out: Path, records: int, seed: int) -> None:
    """Database → prepare → two models → evaluation against the ceiling → report.

    Whatever is in ``out`` already and has not changed is kept, so an interrupted demo goes on.
    """
    start = time.monotonic()
    hospital, prepared = out / "clinic", out / "prepared"
    project = _open_clinic(hospital, records, seed)
    typer.echo(f"[1/4] a hospital with {records:,} visits: {hospital / 'hospital.db'}")
    for line in describe(prepare(project, prepared)):
        typer.echo(f"      {line}")
    typer.echo(f"[2/4] prepared, split by patient: {prepared}")
    folders = []
    for name, overrides in MODELS:
        chosen = config.load(hospital / clinic.PROJECT, [f"model.name={name}", *overrides])
        folders.append(train(chosen, out / f"run-{name}", prepared).folder)
        typer.echo(f"[3/4] trained {name}: {folders[-1]}")
    best, _ = evaluate(folders[-1], out / "report", baselines=folders[:-1])
    for line in compare(folders[0], folders[-1]).lines():
        typer.echo(f"      {line}")
    typer.echo(f"[4/4] {best.headline()}")
    typer.echo(f"done in {time.monotonic() - start:.0f} s. Open {out / 'report' / 'report.html'}")


def _open_clinic(folder: Path, records: int, seed: int) -> config.Project:
    """The clinic's project, making its database unless it is there already."""
    if not clinic.is_made(folder, records, seed):
        clinic.generate(folder, records, seed, formats=("sqlite",))
    return config.load(folder / clinic.PROJECT)

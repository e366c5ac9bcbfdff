"""The demo: a made-up hospital, two models on it, the report that compares them, and the page."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

import typer

from emrobust import clinic, config
from emrobust.pipeline.evaluate import compare, evaluate
from emrobust.pipeline.export import export
from emrobust.pipeline.prepare import describe, prepare
from emrobust.pipeline.train import train

PACKAGE, STORE = "package", "store.db"
# Of the made-up hospital, to be shown beside a note that is like them.
_CASES = 300
MODELS: tuple[tuple[str, list[str]], ...] = (("tfidf", []), ("textcnn", ["train.epochs=8"]))


def run(out: Path, records: int, seed: int) -> None:
    """Database → prepare → two models → evaluation against the ceiling → report → package.

    Whatever is in ``out`` already and has not changed is kept, so an interrupted demo goes on.
    """
    start = time.monotonic()
    hospital, prepared = out / "clinic", out / "prepared"
    project = _open_clinic(hospital, records, seed)
    typer.echo(f"[1/5] a hospital with {records:,} visits: {hospital / 'hospital.db'}")
    for line in describe(prepare(project, prepared)):
        typer.echo(f"      {line}")
    typer.echo(f"[2/5] prepared, split by patient: {prepared}")
    folders = []
    for name, overrides in MODELS:
        chosen = config.load(hospital / clinic.PROJECT, [f"model.name={name}", *overrides])
        folders.append(train(chosen, out / f"run-{name}", prepared).folder)
        typer.echo(f"[3/5] trained {name}: {folders[-1]}")
    best, _ = evaluate(folders[-1], out / "report", baselines=folders[:-1])
    for line in compare(folders[0], folders[-1]).lines():
        typer.echo(f"      {line}")
    typer.echo(f"[4/5] {best.headline()}")
    packed = export(folders[-1], out / PACKAGE, cases=_CASES, report=out / "report").folder
    typer.echo(f"[5/5] packed {MODELS[-1][0]}: {packed}")
    typer.echo(f"done in {time.monotonic() - start:.0f} s. Open {out / 'report' / 'report.html'}")


def show_page(out: Path) -> None:
    """Serve the demo's package, and print the page's address with a key in it, until Ctrl+C."""
    from emrobust.serve import run as serving  # late: the demo itself needs no service
    from emrobust.serve import service, settings
    from emrobust.serve.catalog import Wanted
    from emrobust.serve.store import keys

    given = [f"store.url={out / STORE}", f"serve.jobs={out / 'jobs'}", "serve.port=0"]
    opened = service.open_service(settings.load(None, given), [Wanted(out / PACKAGE)])
    database = opened.store.database
    day = dt.timedelta(days=1)
    token, _ = keys.add(database, name="demo", role="administrator", actor="console", lifetime=day)

    def tell(address: str) -> None:
        # A browser sends no fragment, and the page takes it out of the address at once.
        typer.echo(f"the page for doctors, until Ctrl+C: {address}/#key={token}")

    serving.run(opened, tell)


def _open_clinic(folder: Path, records: int, seed: int) -> config.Project:
    """The clinic's project, making its database unless it is there already."""
    if not clinic.is_made(folder, records, seed):
        clinic.generate(folder, records, seed, formats=("sqlite",))
    return config.load(folder / clinic.PROJECT)

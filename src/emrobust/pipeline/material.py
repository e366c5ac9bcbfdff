"""Finds what the evidence of a run is made of: its test records' texts, and suites of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from emrobust import records, runs
from emrobust.errors import InputError, StorageError
from emrobust.evaluate import evidence, suites
from emrobust.evaluate.calibration import Calibrator
from emrobust.evaluate.evidence import Material
from emrobust.evaluate.run import Measured
from emrobust.lock import alone
from emrobust.pipeline.prepare import LABELS, SUITES, checksum
from emrobust.train import run as training
from emrobust.train.run import Run

_SUITES_SEED = 0
# What `emrobust attack` writes; `emrobust evaluate` shows the one in its own folder.
ATTACKS = "attack.json"
# Keys of prepared.json: where the prepared folder lay, and what training records were from.
FOLDER, SEEN = "folder", "seen"
_NO_TEXTS = (
    "the texts of the test records were not found: a run keeps none, and its prepared folder "
    "is gone, was moved or was made anew\n  Give the prepared folder with --data."
)


def is_prepared(path: Path) -> bool:
    """Whether a path is a folder that `prepare` wrote."""
    return (path / LABELS / runs.MANIFEST).is_file()


def find_prepared(run: Run, data: Path | None = None) -> Path | None:
    """The prepared folder that a run was trained on, unchanged; None if it is not to be found.

    Args:
        run: the run.
        data: where to look first.

    Raises:
        InputError: ``data`` was prepared from other records.
    """
    if data is not None:
        if checksum(data) != run.facts["data"]:
            raise InputError(
                f"{data} holds other records than those that {run.folder} was trained on",
                "Give the prepared folder of the run, or a table to measure the run on.",
            )
        return data
    about = runs.read_json(run.folder / training.PREPARED)
    places = [run.folder / training.DATA, *(Path(of) for of in [about.get(FOLDER)] if of)]
    return next((of for of in places if checksum(of) == run.facts["data"]), None)


def gather(
    run: Run,
    of_run: Measured,
    calibrator: Calibrator | None,
    *,
    scratch: Path,
    at: Path | None = None,
    prepared: Path | None = None,
) -> Material:
    """Everything that evidence needs and that can be found.

    Args:
        run: the run.
        of_run: its predictions of the measured records.
        calibrator: of these.
        scratch: an empty folder for suites that have no place of their own.
        at: folder with the records file of another table; its test split otherwise.
        prepared: the run's prepared folder, where it is known.
    """
    about = runs.read_json(run.folder / training.PREPARED)
    known: dict[str, Any] = {
        "seen": about.get(SEEN, {}),
        "trained": {name: of.get("train", 0) for name, of in about["counts"].items()},
    }
    source = at or (None if prepared is None else prepared / LABELS)
    if source is None:
        return Material(run, of_run, calibrator, no_table=_NO_TEXTS, no_suites=_NO_TEXTS, **known)
    table = records.read(source / records.FILE)
    rows = evidence.rows_of(table, of_run.record_id)
    if rows is None:
        return Material(run, of_run, calibrator, no_table=_NO_TEXTS, no_suites=_NO_TEXTS, **known)
    if SEEN not in about and at is None:
        known["seen"] = suites.seen_of(table)
    place = scratch / SUITES if at is not None or prepared is None else prepared / SUITES
    found, why = _suites(run, source, place, scratch / SUITES)
    taken = table.take(pa.array(rows))
    return Material(run, of_run, calibrator, taken, suites=found, no_suites=why, **known)


def _suites(run: Run, source: Path, place: Path, spare: Path) -> tuple[list[suites.Suite], str]:
    """The suites of a table, made if they are not there; and why there are none."""
    settings = run.project.evaluate
    if run.project.split.folds:
        return [], (
            "a cross-validated run has no single model that suites could be given to\n"
            "  Train once more without [split] folds."
        )
    kinds = tuple(kind for kind in ("noise", "length") if kind in settings.suites)
    wanted = suites.Settings(
        # Not the run's, so that runs with other seeds read the same texts.
        seed=_SUITES_SEED,
        language=run.project.language,
        records=settings.suite_records,
        kinds=kinds,
    )
    try:
        if kinds:
            place = _written(wanted, source, place, spare)
    except InputError as error:
        return [], str(error)
    return [of for of in suites.find(place) if of.kind in settings.suites], ""


def _written(wanted: suites.Settings, source: Path, place: Path, spare: Path) -> Path:
    """Make suites where they belong, or in the spare folder if that may not be written."""
    try:
        with alone(place, wait=True):  # a study evaluates several runs at once
            runs.run_stage(suites.write, wanted, source, place / suites.WRITTEN)
    except StorageError:
        runs.run_stage(suites.write, wanted, source, spare / suites.WRITTEN)
        return spare
    return place

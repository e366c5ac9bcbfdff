"""From a project file to a run folder."""

from __future__ import annotations

import datetime as dt
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from emrobust import progress, records, runs
from emrobust.config import Project
from emrobust.errors import RunError
from emrobust.evaluate import run as evaluation
from emrobust.evaluate import suites
from emrobust.lock import alone
from emrobust.pipeline import governance, provenance
from emrobust.pipeline.material import FOLDER, SEEN
from emrobust.pipeline.prepare import LABELS, SPLIT, STAGES, describe, prepare
from emrobust.report import count_lengths
from emrobust.train import estimators
from emrobust.train import run as training
from emrobust.train.processes import Processes
from emrobust.train.run import Run


def train(
    project: Project, out: Path, data: Path | None = None, today: dt.date | None = None
) -> Run:
    """Train a run, preparing the data inside it unless a prepared folder is given.

    Args:
        project: what to train.
        out: the run folder.
        data: a prepared folder.
        today: the day on which the data-use record must still hold; absent: this machine's.

    Raises:
        ConfigError: the data-use record is over.
        InputError: the project, the source or the data are wrong.
        RunError: ``data`` is not a prepared folder, or another process trains in ``out``.
    """
    governance.check(project, today)
    estimators.build(project, ())  # wrong settings are found before anything long begins
    training.claim(out, training.facts_of(project))
    processes = Processes()
    with alone(out) if processes.leads else nullcontext():
        with processes.first():  # the others find it prepared
            data = find_data(project, out, data)
        return training.train(
            project, data / LABELS, out, describe_data(data), calibrate=evaluation.calibrate
        )


def find_data(project: Project, out: Path, data: Path | None) -> Path:
    """The prepared folder that is given, or one inside ``out``, prepared if it is not yet.

    Raises:
        ConfigError: ``data`` was prepared under another data-use record.
        InputError: the source is wrong.
        RunError: ``data`` is not a prepared folder.
    """
    if data is None:
        data = out / training.DATA
        for line in describe(prepare(project, data)):
            progress.say(line)
        return data
    runs.need_folder(data)
    if not (data / LABELS / runs.MANIFEST).is_file():
        raise RunError(f"{data} is not a prepared folder", "Write it with `emrobust prepare`.")
    provenance.match(project, data)
    return data


def describe_data(data: Path) -> dict[str, Any]:
    """Facts of a prepared folder that a report shows: no record, no text."""
    facts: dict[str, Any] = {name: runs.read_json(data / name / runs.SUMMARY) for name in STAGES}
    lengths: dict[str, list[int]] = {}
    table = records.read(data / LABELS / records.FILE)
    places = pc.fill_null(table["split"], "test").to_pylist()
    for place, text in zip(places, records.join_text(table), strict=True):
        lengths.setdefault(place, []).append(len(text))
    return {
        "stages": facts,
        "split": runs.read_json(data / SPLIT / "split.json"),
        "lengths": asdict(count_lengths(lengths)),
        "counts": _count_labels(table),
        SEEN: suites.seen_of(table),
        FOLDER: str(data.absolute()),
    }


def _count_labels(table: pa.Table) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    places = pc.fill_null(table["split"], "test").to_pylist()
    for place, of_row in zip(places, table["labels"].to_pylist(), strict=True):
        for label in of_row or ():
            of_label = counts.setdefault(label, dict.fromkeys(records.SPLITS, 0))
            of_label[place] += 1
    return counts

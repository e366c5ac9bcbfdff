"""A run → its package, with what only its training records can tell."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from emrobust import records
from emrobust.package import export as packing
from emrobust.package.export import Exported
from emrobust.package.lessons import LEAST_PATIENTS
from emrobust.pipeline.material import find_prepared
from emrobust.pipeline.prepare import LABELS
from emrobust.train import run as training


def export(
    run: Path,
    out: Path,
    data: Path | None = None,
    *,
    cases: int = 0,
    least: int = LEAST_PATIENTS,
    report: Path | None = None,
    today: dt.date | None = None,
) -> Exported:
    """Write the package of a run.

    Args:
        run: a finished run.
        out: folder to write; a package that lies there is replaced.
        data: the prepared folder, where it does not lie in the run or where it was.
        cases: training records to show as similar cases, where the project lets it.
        least: patients that must share what the package tells of training records.
        report: a folder that `emrobust evaluate` wrote of the run.
        today: the day on which the data-use record must still hold; absent: this machine's.

    Raises:
        InputError: ``data`` was prepared from other records.
        ConfigError, ModelError, RunError, StorageError: as `emrobust.package.export.export`.
    """
    found = find_prepared(training.load(run, today), data)
    taught = None if found is None else found / LABELS / records.FILE
    return packing.export(run, out, today, taught=taught, cases=cases, least=least, report=report)

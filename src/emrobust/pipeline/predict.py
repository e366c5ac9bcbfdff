"""A run applied to a table."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from emrobust import deid, runs
from emrobust.evaluate import run as evaluation
from emrobust.pipeline.prepare import source_of
from emrobust.train import prediction
from emrobust.train import run as training


def predict(folder: Path, data: Path, out: Path, today: dt.date | None = None) -> runs.Summary:
    """Predict a table of any size, batch by batch, into a CSV, JSONL or Parquet file.

    A run that learned from de-identified texts reads the table through the same treatment.

    Raises:
        ConfigError: the run's data-use record is over on ``today`` (absent: this machine's day).
        InputError: the table does not fit the run, or ``out`` has another ending.
    """
    run = training.load(folder, today)
    source = source_of(run.project.source, data)
    settings = run.project.deid
    calibrator = evaluation.calibrator_of(run)
    calibrate = None if calibrator is None else calibrator.apply
    if not settings.enabled:
        return prediction.predict(run, source, out, calibrate=calibrate)
    # No text is written here, so nothing needs to be refused or audited.
    quiet = settings.model_copy(update={"accept_identifiers": True, "audit_rows": 0})
    return prediction.predict(run, source, out, deid.Deidentifier(quiet), calibrate)

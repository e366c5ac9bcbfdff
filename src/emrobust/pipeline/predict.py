"""A run applied to a table."""

from __future__ import annotations

from pathlib import Path

from emrobust import deid, runs
from emrobust.pipeline.prepare import source_of
from emrobust.train import prediction
from emrobust.train import run as training


def predict(folder: Path, data: Path, out: Path) -> runs.Summary:
    """Predict a table of any size, batch by batch, into a CSV, JSONL or Parquet file.

    A run that learned from de-identified texts reads the table through the same treatment.

    Raises:
        InputError: the table does not fit the run, or ``out`` has another ending.
    """
    run = training.load(folder)
    source = source_of(run.project.source, data)
    settings = run.project.deid
    if not settings.enabled:
        return prediction.predict(run, source, out)
    # No text is written here, so nothing needs to be refused or audited.
    quiet = settings.model_copy(update={"accept_identifiers": True, "audit_rows": 0})
    return prediction.predict(run, source, out, deid.Deidentifier(quiet))

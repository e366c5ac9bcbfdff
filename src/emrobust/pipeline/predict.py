"""A run applied to a table."""

from __future__ import annotations

from pathlib import Path

from emrobust import runs
from emrobust.pipeline.prepare import source_of
from emrobust.train import prediction
from emrobust.train import run as training


def predict(folder: Path, data: Path, out: Path) -> runs.Summary:
    """Predict a table of any size, batch by batch, into a CSV, JSONL or Parquet file.

    Raises:
        InputError: the table does not fit the run, or ``out`` has another ending.
    """
    run = training.load(folder)
    return prediction.predict(run, source_of(run.project.source, data), out)

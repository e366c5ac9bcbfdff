"""The texts that a run was trained and tested on; they are kept in the prepared folder only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emrobust import records, runs
from emrobust.errors import RunError
from emrobust.pipeline.prepare import LABELS
from emrobust.train import run as training
from emrobust.train.run import Rows, Run


def read_split(run: Run, split: str, data: Path | None = None) -> Rows:
    """The rows of a split, in the order of the run's predictions.

    Args:
        run: a finished run.
        split: train, validation or test.
        data: the prepared folder, where it does not lie in the run.

    Raises:
        RunError: no prepared folder, or another than the run was trained on.
    """
    prepared = data or run.folder / training.DATA
    path = prepared / LABELS / records.FILE
    if not path.is_file():
        raise RunError(
            f"{prepared} is not a prepared folder, and texts are kept nowhere else",
            "Give the folder that the run was trained on with --data.",
        )
    if runs.checksum(path) != run.facts["data"]:
        raise RunError(
            f"{prepared} is not what {run.folder} was trained on",
            "Give the folder that the run was trained on with --data.",
        )
    rows = training.read_rows(path)
    return rows.take(np.flatnonzero(np.array(rows.split) == split))

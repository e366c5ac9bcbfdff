"""The texts that a run was trained and tested on; they are kept in the prepared folder only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emrobust import records
from emrobust.errors import RunError
from emrobust.pipeline.material import find_prepared
from emrobust.pipeline.prepare import LABELS
from emrobust.train import run as training
from emrobust.train.run import Rows, Run


def need_prepared(run: Run, data: Path | None = None) -> Path:
    """The prepared folder of a run, for what needs texts.

    Args:
        run: a finished run.
        data: the folder, where it does not lie in the run or where it was.

    Raises:
        InputError: ``data`` holds other records.
        RunError: it is not to be found.
    """
    prepared = find_prepared(run, data)
    if prepared is None:
        raise RunError(
            f"the prepared folder of {run.folder} was not found, and texts are kept nowhere else",
            "Give the folder that the run was trained on with --data.",
        )
    return prepared


def read_splits(run: Run, data: Path | None = None) -> dict[str, Rows]:
    """The rows of each split, those of the test split in the order of the run's predictions.

    Args:
        run: a finished run.
        data: as `need_prepared` takes it.

    Raises:
        InputError: as `need_prepared` does.
        RunError: likewise.
    """
    rows = training.read_rows(need_prepared(run, data) / LABELS / records.FILE)
    split = np.array(rows.split)
    return {name: rows.take(np.flatnonzero(split == name)) for name in records.SPLITS}

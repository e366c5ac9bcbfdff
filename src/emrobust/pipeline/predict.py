"""A run or a package applied to a table."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from emrobust import deid, package, runs
from emrobust.config import Deid, Source
from emrobust.package import Package, layout
from emrobust.package.model import Precision
from emrobust.pipeline import prediction
from emrobust.pipeline.prepare import source_of


def predict(
    folder: Path,
    data: Path,
    out: Path,
    today: dt.date | None = None,
    *,
    threads: int | None = None,
    precision: Precision = "auto",
) -> runs.Summary:
    """Predict a table of any size, batch by batch, into a CSV, JSONL or Parquet file.

    A model that learned from de-identified texts reads the table through the same treatment.

    Args:
        folder: a run, or a package that `emrobust export` wrote.
        data: a table like the project's source.
        out: file to write.
        today: the day on which the data-use record must still hold; absent: this machine's.
        threads: of a package; absent: all processors.
        precision: of a package.

    Raises:
        ConfigError: the data-use record is over on ``today``, or ``out`` has another ending.
        InputError: the table does not fit the model.
        RunError: neither a finished run nor a whole package.
        StorageError: ``out`` cannot be written.
    """
    prediction.check_ending(out)
    if package.is_package(folder):
        loaded = package.load(folder, threads=threads, precision=precision, today=today)
        return _predict_by_package(loaded, data, out)
    return _predict_by_run(folder, data, out, today)


def _predict_by_run(folder: Path, data: Path, out: Path, today: dt.date | None) -> runs.Summary:
    from emrobust.evaluate import run as evaluation  # noqa: PLC0415 - torch, no package needs it
    from emrobust.train import run as training  # noqa: PLC0415 - likewise

    run = training.load(folder, today)
    model, calibrator = run.estimator(), evaluation.calibrator_of(run)

    def score(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        own, decided = training.probabilities(model, texts)
        return own if calibrator is None else calibrator.apply(own), decided

    source, settings = source_of(run.project.source, data), run.project.deid
    if not settings.enabled:
        return prediction.predict(score, run.names, source, out)
    return prediction.predict(score, run.names, source, out, deid.Deidentifier(_quiet(settings)))


def _predict_by_package(loaded: Package, data: Path, out: Path) -> runs.Summary:
    saved = runs.read_json(loaded.folder / layout.SOURCE)
    # Where the project's table lay is not known here, but of which kind it was.
    known = Source(path=Path(f"absent{saved['suffix']}"), **saved["columns_of"])
    source = source_of(known, data)
    settings = loaded.deid()
    if not settings.enabled:
        return prediction.predict(loaded.score, loaded.names, source, out)
    with _stand_in_key() as key:
        # Nothing of the treated texts is written, and numbers must lead back to the records.
        own = {"key_file": key, "pseudonyms": False}
        treatment = deid.Deidentifier(_quiet(settings.model_copy(update=own)))
        return prediction.predict(loaded.score, loaded.names, source, out, treatment)


def _quiet(settings: Deid) -> Deid:
    """No text is written here, so nothing needs to be refused or audited."""
    return settings.model_copy(update={"accept_identifiers": True, "audit_rows": 0})


@contextlib.contextmanager
def _stand_in_key() -> Iterator[Path]:
    """A key that is no secret, for surrogates and shifts like those that the model learned from.

    The hospital's key stays at home. What this one makes is read by the model alone.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "key"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(hashlib.sha256(layout.WHAT.encode()).hexdigest())
        yield path

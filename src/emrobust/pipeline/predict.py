"""A run or a package applied to a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emrobust import deid, ingest, package, runs
from emrobust.package import Package, table
from emrobust.package.model import Precision
from emrobust.package.treatment import open_treatment, quiet
from emrobust.pipeline import prediction


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

    source, settings = ingest.source_of(run.project.source, data), run.project.deid
    language = run.project.language
    if not settings.enabled:
        return prediction.predict(score, run.names, source, out, language=language)
    treatment = deid.Deidentifier(quiet(settings), language=language)
    return prediction.predict(score, run.names, source, out, language=language, through=treatment)


def _predict_by_package(loaded: Package, data: Path, out: Path) -> runs.Summary:
    source, settings = table.source_of(loaded, data), loaded.deid()
    language = loaded.facts["language"]
    if not settings.enabled:
        return prediction.predict(loaded.score, loaded.names, source, out, language=language)
    treatment = open_treatment(settings, language)
    return prediction.predict(
        loaded.score, loaded.names, source, out, language=language, through=treatment
    )

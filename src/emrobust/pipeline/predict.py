"""A run or a package applied to a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from emrobust import deid, ingest, package, runs
from emrobust.errors import ConfigError
from emrobust.package import Package, diagnosis, table
from emrobust.package.diagnosis import Diagnosis
from emrobust.package.model import Precision
from emrobust.package.treatment import open_treatment, quiet
from emrobust.pipeline import prediction
from emrobust.pipeline.prediction import Scored

_NO_SETS = (
    "the package promises no coverage, since the run had too few validation records: the column"
    " `prediction_set` is empty"
)


def predict(
    folder: Path,
    data: Path,
    out: Path,
    today: dt.date | None = None,
    *,
    threads: int | None = None,
    precision: Precision = "auto",
    coverage: float | None = None,
) -> runs.Summary:
    """Predict a table of any size, batch by batch, into a CSV, JSONL or Parquet file.

    A package adds the columns ``prediction_set`` and ``reasons`` (why it abstains).

    A model that learned from de-identified texts reads the table through the same treatment.

    Args:
        folder: a run, or a package that `emrobust export` wrote.
        data: a table like the project's source.
        out: file to write.
        today: the day on which the data-use record must still hold; absent: this machine's.
        threads: of a package; absent: all processors.
        precision: of a package.
        coverage: of a package's prediction sets; absent: the promised one nearest to 0.9.

    Raises:
        ConfigError: the data-use record is over on ``today``, ``out`` has another ending, or a run
            is asked for sets.
        InputError: the table does not fit the model, or the package promises no such coverage.
        RunError: neither a finished run nor a whole package.
        StorageError: ``out`` cannot be written.
    """
    prediction.check_ending(out)
    if package.is_package(folder):
        loaded = package.load(folder, threads=threads, precision=precision, today=today)
        return _predict_by_package(loaded, data, out, coverage)
    if coverage is not None:
        raise ConfigError(
            f"{folder} is a run, which promises no coverage",
            "Leave --coverage out, or predict by the package that `emrobust export` makes of it.",
        )
    return _predict_by_run(folder, data, out, today)


def _predict_by_run(folder: Path, data: Path, out: Path, today: dt.date | None) -> runs.Summary:
    from emrobust.evaluate import run as evaluation  # noqa: PLC0415 - torch, no package needs it
    from emrobust.train import run as training  # noqa: PLC0415 - likewise

    run = training.load(folder, today)
    model, calibrator = run.estimator(), evaluation.calibrator_of(run)

    def score(texts: Sequence[str]) -> Scored:
        own, decided = training.probabilities(model, texts)
        return Scored(own if calibrator is None else calibrator.apply(own), decided)

    source, settings = ingest.source_of(run.project.source, data), run.project.deid
    language = run.project.language
    if not settings.enabled:
        return prediction.predict(score, run.names, source, out, language=language)
    treatment = deid.Deidentifier(quiet(settings), language=language)
    return prediction.predict(score, run.names, source, out, language=language, through=treatment)


def _predict_by_package(
    loaded: Package, data: Path, out: Path, coverage: float | None
) -> runs.Summary:
    target = diagnosis.default_coverage(loaded, diagnosis.COVERAGE)
    if coverage is not None:
        loaded.check_coverage(coverage)
        target = coverage
    names = np.array(loaded.names, dtype=object)

    def score(texts: Sequence[str]) -> Scored:
        found = diagnosis.diagnose(loaded, loaded.predict_proba(texts), coverage=target)
        in_sets = [_in_set(names, one) for one in found]
        more = {"prediction_set": in_sets, "reasons": [list(one.reasons) for one in found]}
        probability = np.stack([one.probability for one in found])
        return Scored(probability, np.stack([one.chosen for one in found]), more)

    source, settings = table.source_of(loaded, data), loaded.deid()
    language = loaded.facts["language"]
    treatment = open_treatment(settings, language) if settings.enabled else None
    summary = prediction.predict(
        score, loaded.names, source, out,
        language=language, through=treatment, schema=prediction.SURE_SCHEMA,
    )  # fmt: skip
    if target is not None:
        return summary
    warnings = [*summary.notes.get("warnings", ()), _NO_SETS]
    return replace(summary, notes={**summary.notes, "warnings": warnings})


def _in_set(names: np.ndarray, found: Diagnosis) -> list[str]:
    """The labels of the prediction set, the likeliest first; empty where there is none."""
    if found.inside is None:
        return []
    ranked = found.ranked()
    return list(names[ranked[found.inside[ranked]]])

"""From run folders to measurements: a run's own test split, or records it has not seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emrobust import clinic, records
from emrobust.errors import InputError
from emrobust.evaluate.comparison import Comparison
from emrobust.evaluate.comparison import compare as compare_predictions
from emrobust.evaluate.evaluation import Evaluation, measure
from emrobust.evaluate.predictions import Predictions, gather
from emrobust.labels.aggregate import OTHER
from emrobust.models import thresholds
from emrobust.train import run as training
from emrobust.train.run import Run


@dataclass(frozen=True)
class Measured:
    """Predictions with the numbers of the records that they are about."""

    record_id: tuple[str, ...]
    predictions: Predictions


def evaluate(run: Run, at: Path | None = None) -> Evaluation:
    """Measure a run on its test split, or on the records folder ``at``.

    Where the project names a clinic's truth and it holds these records, the best possible
    classifier is measured beside it, its thresholds tuned on the validation split like those
    of any model.

    Raises:
        InputError: there is nothing to measure.
        RunError: the truth is not that of a clinic with these classes.
    """
    of_run = read(run, at)
    settings, seed = run.project.evaluate, run.project.seed
    best = _ceiling(run, of_run)
    return measure(
        of_run.predictions,
        settings=settings,
        seed=seed,
        ceiling=None if best is None else measure(best, settings=settings, seed=seed),
    )


def beside(other: Run, run: Run, at: Path | None = None) -> tuple[Evaluation, Comparison]:
    """Measure another run on the same records; its scores, and the difference to ``run``.

    Raises:
        InputError: the two did not see the same records or have other classes.
    """
    first, second = _same(read(other, at), read(run, at))
    settings, seed = run.project.evaluate, run.project.seed
    return (
        measure(first.predictions, settings=settings, seed=seed),
        compare_predictions(
            first.predictions,
            second.predictions,
            settings=settings,
            seed=seed,
            names=(other.project.model.name, run.project.model.name),
        ),
    )


def compare(first: Run, second: Run) -> Comparison:
    """The paired difference of two runs on their common test records.

    Raises:
        InputError: the two were not tested on the same records or have other classes.
    """
    a, b = _same(read(first), read(second))
    return compare_predictions(
        a.predictions,
        b.predictions,
        settings=second.project.evaluate,
        seed=second.project.seed,
        names=(str(first.folder), str(second.folder)),
    )


def read(run: Run, at: Path | None = None, split: str = "test") -> Measured:
    """A run's stored predictions of a split, or fresh ones for a records folder."""
    if at is not None:
        return _fresh(run, training.read_rows(at / records.FILE))
    table = pq.read_table(run.folder / training.PREDICTIONS)
    return _stored(run, table.filter(pc.equal(table["split"], split)))


def _stored(run: Run, table: pa.Table) -> Measured:
    width = len(run.names)
    decided = _matrix(table["predicted"], width)
    return _measured(run, table, _matrix(table["probability"], width), decided)


def _fresh(run: Run, rows: training.Rows) -> Measured:
    probability, decided = training.probabilities(run.estimator(), rows.texts)
    columns = {name: getattr(rows, name) for name in ("record_id", "patient_id", "labels")}
    return _measured(run, pa.table(columns), probability, decided)


def _measured(run: Run, of: pa.Table, probability: np.ndarray, decided: np.ndarray) -> Measured:
    gathered = gather(
        records.indicator(of["labels"], run.names),
        probability,
        run.thresholds(),
        run.names,
        of["patient_id"].to_pylist(),
        task=run.project.labels.task,
    )
    # The decisions are the model's own: under cross-validation each fold has its thresholds.
    return Measured(tuple(of["record_id"].to_pylist()), replace(gathered, predicted=decided))


def _matrix(column: pa.ChunkedArray, width: int) -> np.ndarray:
    """A list column of equal lengths as [rows, width]."""
    flat: np.ndarray = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, width)


def _same(first: Measured, second: Measured) -> tuple[Measured, Measured]:
    if set(first.record_id) != set(second.record_id) or set(first.predictions.names) != set(
        second.predictions.names
    ):
        raise InputError(
            "the two runs were not tested on the same records with the same classes",
            "Train both with --data on one prepared folder.",
        )
    return _ordered(first, second.predictions.names), _ordered(second, second.predictions.names)


def _ordered(measured: Measured, names: tuple[str, ...]) -> Measured:
    """The same predictions with records in the order of their numbers and labels as named."""
    rows = np.argsort(np.array(measured.record_id))
    of = measured.predictions
    columns = np.array([of.names.index(name) for name in names])
    return Measured(
        tuple(measured.record_id[row] for row in rows),
        replace(
            of,
            names=names,
            truth=of.truth[np.ix_(rows, columns)],
            probability=of.probability[np.ix_(rows, columns)],
            predicted=of.predicted[np.ix_(rows, columns)],
            thresholds=None if of.thresholds is None else of.thresholds[columns],
            patient=of.patient[rows],
        ),
    )


def _ceiling(run: Run, of_run: Measured) -> Predictions | None:
    """The best possible classifier on the same records, where a clinic's truth knows them."""
    path = run.project.evaluate.truth
    # Under cross-validation there is no one validation split to tune its thresholds on, and
    # of rare classes lumped together the clinic knows no posterior.
    if path is None or run.project.split.folds or OTHER in run.names:
        return None
    if not path.is_file():
        raise InputError(
            f"the clinic's truth {path} does not exist",
            "Correct `evaluate.truth` in the project file, or leave it out.",
        )
    tuning = read(run, split="validation")
    truth = _truth_rows(path, [*tuning.record_id, *of_run.record_id])
    if truth is None:
        return None
    probability = clinic.ceiling(truth, run.names)
    cut = len(tuning.record_id)
    tuned = thresholds.tune(
        tuning.predictions.truth, probability[:cut], run.project.train.thresholds
    )
    given = of_run.predictions
    return replace(
        given,
        probability=probability[cut:],
        predicted=(probability[cut:] >= tuned).astype(np.uint8),
        thresholds=tuned,
    )


def _truth_rows(path: Path, record_ids: list[str]) -> pa.Table | None:
    """The truth of these visits in this order; nothing if it does not know all of them."""
    wanted = pa.array(record_ids)
    dataset = pq.read_table(path, filters=pc.field("record_id").isin(wanted))
    places = pc.index_in(wanted, dataset["record_id"].combine_chunks())
    return None if places.null_count else dataset.take(places)

"""From run folders to measurements: a run's own test split, or records it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emrobust import clinic, records, runs
from emrobust.config import Project
from emrobust.errors import ConfigError, InputError
from emrobust.evaluate.calibration import Calibrator, Choice, choose, restore
from emrobust.evaluate.calibration.choice import NONE
from emrobust.evaluate.comparison import ONE_TABLE, Comparison
from emrobust.evaluate.comparison import compare as compare_predictions
from emrobust.evaluate.evaluation import Evaluation, measure
from emrobust.evaluate.predictions import Predictions, gather
from emrobust.labels import LabelSet
from emrobust.labels.aggregate import OTHER
from emrobust.models import thresholds
from emrobust.models.estimator import TextClassifier
from emrobust.train import run as training
from emrobust.train.run import Run


@dataclass(frozen=True)
class Measured:
    """Predictions with the numbers of the records that they are about.

    Attributes:
        record_id: of each row.
        predictions: as `emrobust predict` writes them: calibrated, where there is a calibrator.
        raw: the same with the model's own probabilities; None where nothing was calibrated.
    """

    record_id: tuple[str, ...]
    predictions: Predictions
    raw: Predictions | None = None


def evaluate(run: Run, at: Path | None = None) -> Evaluation:
    """Measure a run, its probabilities calibrated, on its test split or the folder ``at``.

    The best possible classifier stands beside it where `ceiling` finds one.

    Raises:
        InputError: there is nothing to measure.
    """
    of_run = read(run, at, calibrator=calibrator_of(run))
    try:
        best = ceiling(run, of_run)
    except InputError:
        best = None
    return assess(run, of_run, best)


def assess(run: Run, of_run: Measured, best: Predictions | None) -> Evaluation:
    """The scores of predictions that are already read, beside those of the best possible."""
    settings, seed = run.project.evaluate, run.project.seed
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
    first, second = _same(*(read(of, at, calibrator=calibrator_of(of)) for of in (other, run)))
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
    a, b = _same(*(read(of, calibrator=calibrator_of(of)) for of in (first, second)))
    return compare_predictions(
        a.predictions,
        b.predictions,
        settings=second.project.evaluate,
        seed=second.project.seed,
        names=(str(first.folder), str(second.folder)),
    )


def read(
    run: Run, at: Path | None = None, split: str = "test", calibrator: Calibrator | None = None
) -> Measured:
    """A run's stored predictions of a split, or fresh ones for a records folder.

    With a calibrator, probabilities and thresholds are mapped by it; decisions stay the model's.
    """
    if at is not None:
        return predict(run, at / records.FILE, calibrator)
    table = pq.read_table(run.folder / training.PREDICTIONS)
    return _stored(run, table.filter(pc.equal(table["split"], split)), calibrator)


def predict(
    run: Run,
    file: Path,
    calibrator: Calibrator | None = None,
    model: TextClassifier | None = None,
) -> Measured:
    """Fresh predictions of a records file.

    Args:
        run: the run.
        file: the records.
        calibrator: maps the probabilities.
        model: the run's, where it is loaded already.

    Raises:
        InputError: it has no rows.
    """
    rows = training.read_rows(file)
    if not rows.texts:
        raise InputError(
            f"{file.name} has no records to measure", "Look into rejects.csv for the reasons."
        )
    probability, decided = training.probabilities(model or run.estimator(), rows.texts)
    columns = {name: getattr(rows, name) for name in ("record_id", "patient_id", "labels")}
    return _measured(run, pa.table(columns), probability, decided, calibrator)


def calibrator_of(run: Run) -> Calibrator | None:
    """The calibrator saved with a run; one fitted now where it has none, nothing if none can be.

    Raises:
        ConfigError: the project names a calibrator that does not exist.
        RunError: the saved one cannot be read.
    """
    path = run.folder / training.CALIBRATION
    if path.is_file():
        return restore(runs.read_json(path))
    if run.project.evaluate.calibrator == NONE:
        return None
    try:
        return choice_of(run).calibrator
    except ConfigError:
        raise
    except InputError:
        return None


def validation_scores(run: Run) -> dict[str, dict[str, float]] | None:
    """How the candidates did when the run's calibrator was chosen; None where nothing was saved."""
    path = run.folder / training.CALIBRATION
    if not path.is_file():
        return None
    found: dict[str, dict[str, float]] | None = runs.read_json(path).get("validation")
    return found


def choice_of(run: Run, wanted: str | None = None) -> Choice:
    """How the run's calibrator was chosen, and what it says of validation records.

    Args:
        run: the run.
        wanted: a calibrator; absent: the project's choice.

    Raises:
        InputError: the run has too few validation records, or none as under cross-validation.
    """
    if run.project.split.folds:
        raise InputError(
            "a cross-validated run keeps no validation records to calibrate on",
            "Train once more without [split] folds.",
        )
    return choose(
        read(run, split="validation").predictions,
        wanted=wanted or run.project.evaluate.calibrator,
        seed=run.project.seed,
        bins=run.project.evaluate.bins,
    )


def calibrate(project: Project, label_set: LabelSet, table: pa.Table) -> dict[str, Any] | None:
    """What a run saves as its calibration; nothing if there are too few validation rows.

    Args:
        project: names the calibrator, or leaves the choice open.
        label_set: the columns of the probabilities.
        table: predictions of validation rows, as `train.run` stores them.

    Raises:
        ConfigError: there is no such calibrator.
    """
    wanted = project.evaluate.calibrator
    try:
        given = gather(
            records.indicator(table["labels"], label_set.names),
            _matrix(table["probability"], len(label_set.names)),
            None,
            label_set.names,
            table["patient_id"].to_pylist(),
            task=project.labels.task,
        )
        chosen = choose(given, wanted=wanted, seed=project.seed, bins=project.evaluate.bins)
    except ConfigError:
        raise
    except InputError:
        return None
    return chosen.to_json()


def _stored(run: Run, table: pa.Table, calibrator: Calibrator | None) -> Measured:
    width = len(run.names)
    decided = _matrix(table["predicted"], width)
    return _measured(run, table, _matrix(table["probability"], width), decided, calibrator)


def _measured(
    run: Run,
    of: pa.Table,
    probability: np.ndarray,
    decided: np.ndarray,
    calibrator: Calibrator | None,
) -> Measured:
    gathered = gather(
        records.indicator(of["labels"], run.names),
        probability,
        run.thresholds(),
        run.names,
        of["patient_id"].to_pylist(),
        task=run.project.labels.task,
    )
    # The decisions are the model's own: under cross-validation each fold has its thresholds, and
    # no one of them is the label's.
    cut = None if run.project.split.folds else gathered.thresholds
    found = replace(gathered, predicted=decided, thresholds=cut)
    raw = None if calibrator is None else found
    return Measured(tuple(of["record_id"].to_pylist()), calibrated(found, calibrator), raw)


def calibrated(given: Predictions, calibrator: Calibrator | None) -> Predictions:
    """The same decisions with calibrated probabilities, and thresholds on the same scale."""
    if calibrator is None:
        return given
    cut = given.thresholds
    return replace(
        given,
        probability=calibrator.apply(given.probability),
        thresholds=None if cut is None else calibrator.apply(cut[None])[0],
    )


def _matrix(column: pa.ChunkedArray, width: int) -> np.ndarray:
    """A list column of equal lengths as [rows, width]."""
    flat: np.ndarray = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, width)


def align(measured: Sequence[Measured]) -> list[Predictions]:
    """The predictions of several runs with records and labels in the same order.

    Raises:
        InputError: they are not of the same records and classes.
    """
    first, *others = measured
    found = [_ordered(first, first.predictions.names).predictions]
    return found + [_same(first, other)[1].predictions for other in others]


def _same(first: Measured, second: Measured) -> tuple[Measured, Measured]:
    if set(first.predictions.names) != set(second.predictions.names):
        raise InputError(
            "the two runs do not have the same classes",
            "Train both with --data on one prepared folder.",
        )
    if set(first.record_id) != set(second.record_id):
        raise InputError("the two runs were not tested on the same records", ONE_TABLE)
    return _ordered(first, first.predictions.names), _ordered(second, first.predictions.names)


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


def ceiling(run: Run, of_run: Measured) -> Predictions | None:
    """The best possible classifier on the same records, where a clinic's truth knows them.

    Its thresholds are tuned on the validation split like those of any model.

    Raises:
        InputError: the truth that the project names is missing or damaged.
        RunError: it is not that of a clinic with these classes.
    """
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
    try:
        dataset = pq.read_table(path, filters=pc.field("record_id").isin(wanted))
    except (pa.ArrowException, OSError):
        raise InputError(
            f"{path} is damaged or is not the truth of a clinic",
            "Make the clinic again with `emrobust clinic`, or leave `evaluate.truth` out.",
        ) from None
    places = pc.index_in(wanted, dataset["record_id"].combine_chunks())
    return None if places.null_count else dataset.take(places)

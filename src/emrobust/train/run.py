"""A run: one project trained on prepared records, in a folder that says all about itself.

project.toml         the resolved project file
labels.json          the label set
model/               the fitted estimator (model-0, model-1 … under cross-validation)
predictions.parquet  probabilities for validation and test records, never their text
thresholds.json      tuned on the validation split
history.json         the learning curve
calibration.json     how probabilities are calibrated; absent where validation rows are too few
cost.json            time, processor time and memory that the training took
prepared.json        what the prepared table was: summaries, split and leakage facts, lengths
manifest.json        checksums of all of these, written last: its presence means "complete"
checkpoint/          only while training: the state to go on from
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emrobust import config, records, runs
from emrobust.config import Component, Project
from emrobust.errors import RunError, SplitError
from emrobust.labels import LabelSet, read_label_set
from emrobust.models.estimator import TextClassifier
from emrobust.train import adversaries, estimators, inputs
from emrobust.train.classifier import AUGMENTATION
from emrobust.train.cost import Meter
from emrobust.train.processes import Processes

PROJECT = "project.toml"
LABELS = "labels.json"
MODEL = "model"
PREDICTIONS = "predictions.parquet"
THRESHOLDS = "thresholds.json"
HISTORY = "history.json"
PREPARED = "prepared.json"
COST = "cost.json"
CALIBRATION = "calibration.json"
CHECKPOINT = "checkpoint"
DATA = "data"
FACTS = "facts.json"
COMPONENTS = "components"
INPUTS = "inputs"
CACHE = "augment.sqlite"
VERSION = 2
_ADVERSARY = "train.adversary"

PREDICTION_SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("patient_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("fold", pa.int32()),
        pa.field("labels", pa.list_(pa.string())),
        pa.field("probability", pa.list_(pa.float32())),
        pa.field("predicted", pa.list_(pa.uint8())),
    ]
)


@dataclass(frozen=True)
class Run:
    """A finished run, read back.

    Attributes:
        folder: where it lies.
        project: the resolved project file.
        label_set: the classes; ``names`` are the columns of every probability.
        facts: the manifest's facts.
    """

    folder: Path
    project: Project
    label_set: LabelSet
    facts: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, in column order."""
        return self.label_set.names

    def thresholds(self) -> np.ndarray | None:
        """The tuned thresholds [K]; None for a single-label or a cross-validated run."""
        if self.project.split.folds:
            return None
        tuned: list[float] | None = runs.read_json(self.folder / THRESHOLDS)
        return None if tuned is None else np.array(tuned)

    def cost(self) -> dict[str, Any]:
        """What the training took, see `emrobust.train.cost`; empty for an older run."""
        path = self.folder / COST
        found: dict[str, Any] = runs.read_json(path) if path.is_file() else {}
        return found

    def augmentation(self) -> dict[str, Any]:
        """What was done to the training texts (of the first fold): shares, counts, refusals."""
        name = f"{MODEL}-0" if self.project.split.folds else MODEL
        path = self.folder / name / AUGMENTATION
        found: dict[str, Any] = runs.read_json(path) if path.is_file() else {}
        return found

    def estimator(self) -> TextClassifier:
        """The fitted model.

        Raises:
            RunError: the run was cross-validated and so has a model a fold, not one.
        """
        if self.project.split.folds:
            raise RunError(
                f"{self.folder} was cross-validated: it measures a recipe and has no single model",
                "Train once more without [split] folds to get a model.",
            )
        return estimators.load(self.folder / MODEL)


@dataclass(frozen=True)
class Rows:
    """Prepared records in memory: what fitting and predicting need of them."""

    record_id: list[str]
    patient_id: list[str]
    texts: list[str]
    labels: list[list[str]]
    split: list[str | None]
    fold: list[int | None]

    def take(self, places: Iterable[int] | np.ndarray) -> Rows:
        """The rows at these places."""
        chosen = list(places)
        columns = (getattr(self, name) for name in self.__dataclass_fields__)
        return Rows(*([column[i] for i in chosen] for column in columns))


def read_rows(path: Path) -> Rows:
    """Read a records file."""
    table = records.read(path)
    return Rows(
        table["record_id"].to_pylist(),
        table["patient_id"].to_pylist(),
        records.join_text(table),
        [labels or [] for labels in table["labels"].to_pylist()],
        table["split"].to_pylist(),
        table["fold"].to_pylist(),
    )


def load(folder: Path, today: dt.date | None = None) -> Run:
    """Read a finished run, checking every file against its checksum.

    Args:
        folder: the run.
        today: the day on which its data-use record must still hold; absent: this machine's.

    Raises:
        ConfigError: the last day of the run's data-use record is over.
        RunError: no folder, no finished run, a changed file, or one of another version.
    """
    runs.need_folder(folder)
    if not (folder / runs.MANIFEST).is_file():
        raise RunError(
            f"{folder} is not a finished run",
            "Give a folder that `emrobust train` wrote; if it was stopped, start it again.",
        )
    facts = runs.verify_manifest(folder)
    if facts.get("version") != VERSION:
        raise RunError(
            f"{folder} was written by another version of emrobust (format {facts.get('version')}, "
            f"this one reads {VERSION})",
            "Train again with this version.",
        )
    project = config.load(folder / PROJECT)
    project.governance.refuse_expired(today)
    return Run(folder, project, read_label_set(folder / LABELS), facts)


# From a run's predictions of validation rows (PREDICTION_SCHEMA) to what is saved beside it.
Calibrate = Callable[[Project, LabelSet, pa.Table], Mapping[str, Any] | None]


def train(
    project: Project,
    data: Path,
    folder: Path,
    about: Mapping[str, Any],
    calibrate: Calibrate | None = None,
) -> Run:
    """Fit the project's model on prepared records; resume or keep what is there.

    Args:
        project: what to train.
        data: folder with ``records.parquet`` and ``labels.json`` of the last stage.
        folder: the run folder.
        about: facts of the preparation that a report shows; kept in ``prepared.json``.
        calibrate: makes ``calibration.json`` of the validation rows' predictions.

    Raises:
        InputError: the data do not fit the model.
        RunError: the folder holds a run with other settings, data or files.
        StorageError: the folder cannot be written.
    """
    facts = {
        "version": VERSION,
        **facts_of(project),
        "data": runs.checksum(data / records.FILE),
    }
    claim(folder, facts)
    if (folder / runs.MANIFEST).is_file():
        return load(folder)
    meter = Meter(resumed=(folder / CHECKPOINT / FACTS).is_file())
    processes = Processes()
    processes.wait()  # until all have looked
    label_set = read_label_set(data / LABELS)
    rows = read_rows(data / records.FILE)
    if processes.leads:
        runs.write_json(folder / CHECKPOINT / FACTS, facts)
        runs.write_text(folder / PROJECT, config.dump(project))
        shutil.copyfile(data / LABELS, folder / LABELS)
    fit = _cross_validate if project.split.folds else _fit_once
    predictions, history = fit(with_cache(project, data.parent / CACHE), label_set, rows, folder)
    if processes.leads:
        records.write(folder / PREDICTIONS, PREDICTION_SCHEMA, predictions)
        runs.write_json(folder / HISTORY, history)
        runs.write_json(folder / PREPARED, about)
        runs.write_json(folder / COST, meter.read())
        if calibrate is not None:
            _save_calibration(calibrate, project, label_set, predictions, folder)
        shutil.rmtree(folder / CHECKPOINT)
        runs.write_manifest(folder, facts, leave_out=DATA)
    processes.wait()
    return load(folder)


def _save_calibration(
    calibrate: Calibrate,
    project: Project,
    label_set: LabelSet,
    predictions: Sequence[pa.RecordBatch],
    folder: Path,
) -> None:
    table = pa.Table.from_batches(predictions, PREDICTION_SCHEMA)
    found = calibrate(project, label_set, table.filter(pc.equal(table["split"], "validation")))
    if found is not None:
        runs.write_json(folder / CALIBRATION, found)


def with_cache(project: Project, path: Path) -> Project:
    """The project, with a file for what models make of its texts where it names none."""
    given = project.augment
    augment = given.model_copy(update={"cache": given.cache or path})
    return project.model_copy(update={"augment": augment})


def facts_of(project: Project) -> dict[str, Any]:
    """What of a run's facts is known before its records are prepared."""
    return {
        "project": project.public(),
        # As they are read again.
        COMPONENTS: json.loads(json.dumps(estimators.components(project), default=str)),
        INPUTS: inputs.find(project),
    }


def claim(folder: Path, facts: Mapping[str, Any]) -> None:
    """Make sure that a folder is free, or holds a run (finished or not) with these facts.

    Raises:
        RunError: it holds another run, which training would destroy; names the file where only
            one that the project names was changed.
    """
    for path, state in (
        (folder / runs.MANIFEST, "a finished"),
        (folder / CHECKPOINT / FACTS, "an unfinished"),
    ):
        if not path.is_file():
            continue
        found = runs.read_json(path)
        if difference := differs(found.get("facts", found), facts):
            raise RunError(
                f"{folder} holds {state} run with {difference}",
                "Give another folder with --out, or delete this one if it is not needed.",
            )


def differs(found: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """In what a run of these facts is another than the one that was found; empty: in nothing."""
    judged = facts.keys() - {COMPONENTS, INPUTS}
    if any(found.get(name) != facts[name] for name in judged):
        return "other settings or other data"
    now = facts[COMPONENTS]
    if COMPONENTS in found:
        then = found[COMPONENTS]
        others = sorted(key for key in then.keys() | now.keys() if then.get(key) != now.get(key))
    else:  # Of a run that is older than these notes no more can be said.
        others = [_ADVERSARY] if adversary_of(found) != adversary_of(facts) else []
    if others:
        return f"other defaults of {', '.join(f'`{key}`' for key in others)}"
    changed = inputs.changed(found.get(INPUTS), facts[INPUTS])
    return f"other content of {', '.join(changed)}" if changed else ""


def adversary_of(facts: Mapping[str, Any]) -> str | None:
    """Name of the adversary that a run was trained with; None for plain training.

    Runs older than the note of components had no adversary but the one that the project named.
    """
    if COMPONENTS in facts:
        noted = facts[COMPONENTS].get(_ADVERSARY)
    else:
        named = facts["project"]["train"].get("adversary")
        chosen = adversaries.choose(Component(**named) if named else None, None)
        noted = chosen and chosen.model_dump()
    return noted["name"] if noted else None


def _fit_once(
    project: Project, label_set: LabelSet, rows: Rows, folder: Path
) -> tuple[list[pa.RecordBatch], list[dict[str, Any]]]:
    split = np.array(rows.split)
    parts = {name: rows.take(np.flatnonzero(split == name)) for name in records.SPLITS}
    model = _fit(project, label_set, parts["train"], parts["validation"], folder / MODEL)
    if not Processes().leads:
        return [], model.history_
    tuned = model.thresholds_
    runs.write_json(folder / THRESHOLDS, None if tuned is None else tuned.tolist())
    measured = [_predicted(model, parts[name]) for name in ("validation", "test")]
    return measured, model.history_


def _cross_validate(
    project: Project, label_set: LabelSet, rows: Rows, folder: Path
) -> tuple[list[pa.RecordBatch], list[dict[str, Any]]]:
    """Each fold is tested once; the next fold is its validation, the others train."""
    fold = np.array(rows.fold)
    folds = int(fold.max()) + 1
    measured, history = [], []
    for k in range(folds):
        nxt = (k + 1) % folds
        training = rows.take(np.flatnonzero((fold != k) & (fold != nxt)))
        validation = rows.take(np.flatnonzero(fold == nxt))
        model = _fit(project, label_set, training, validation, folder / f"{MODEL}-{k}")
        if Processes().leads:
            measured.append(_predicted(model, rows.take(np.flatnonzero(fold == k)), k))
        history += [{**row, "fold": k} for row in model.history_]
    return measured, history


def _fit(
    project: Project, label_set: LabelSet, training: Rows, validation: Rows, target: Path
) -> TextClassifier:
    if not training.texts or not validation.texts:
        raise SplitError(
            "there are no rows to train on, or none to validate on",
            "Prepare the data with shares that leave rows in every split.",
        )
    model = estimators.build(project, label_set.names)
    checkpoints = target.parent / CHECKPOINT / target.name
    model.fit(
        training.texts,
        targets(label_set, training),
        validation=(validation.texts, targets(label_set, validation)),
        checkpoints=checkpoints,
    )
    if Processes().leads:
        model.save(target)
    return model


def targets(label_set: LabelSet, rows: Rows) -> np.ndarray:
    """What an estimator learns: class names [n], or a matrix of 0 and 1 [n, K]."""
    if label_set.task == "single":
        return np.array([labels[0] for labels in rows.labels])
    return records.indicator(rows.labels, label_set.names)


def probabilities(model: TextClassifier, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities float32 and decisions uint8, [n, K] in the label set's column order."""
    given = model.predict_proba(texts)
    if model.task_ == "multi":
        return given.astype(np.float32), model.decide(given).astype(np.uint8)
    decided = np.zeros(given.shape, dtype=np.uint8)
    decided[np.arange(len(decided)), given.argmax(1)] = 1
    return given.astype(np.float32), decided


def _predicted(model: TextClassifier, rows: Rows, fold: int | None = None) -> pa.RecordBatch:
    probability, decided = probabilities(model, rows.texts)
    return pa.RecordBatch.from_pydict(
        {
            "record_id": rows.record_id,
            "patient_id": rows.patient_id,
            "split": rows.split if fold is None else ["test"] * len(rows.texts),
            "fold": [fold] * len(rows.texts),
            "labels": rows.labels,
            "probability": list(probability),
            "predicted": list(decided),
        },
        schema=PREDICTION_SCHEMA,
    )

"""What a package decides and what it promises: thresholds, calibration, sets, abstention, rates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emrobust import runs
from emrobust.errors import InputError
from emrobust.evaluate import run as evaluation
from emrobust.evaluate.calibration import choose_cut, control, measure_sets
from emrobust.evaluate.calibration.abstention import certainty
from emrobust.evaluate.calibration.conformal import sets
from emrobust.evaluate.predictions import Predictions
from emrobust.package import layout
from emrobust.package.diagnosis import COVERAGE, WIDEST
from emrobust.train import run as training
from emrobust.train.run import Run

# Shares of true labels that prediction sets hold, beside the project's own.
_TARGETS = (0.8, 0.9, 0.95)
_DECIMALS = 4


def write(run: Run, target: Path, notes: list[str]) -> None:
    """Write thresholds, calibration, sets, the cut of abstention, and the rates to compare with.

    Args:
        run: a finished run.
        target: the package.
        notes: takes a sentence on what cannot be promised, and why.
    """
    tuned = run.thresholds()
    runs.write_json(target / layout.THRESHOLDS, None if tuned is None else tuned.tolist())
    calibrator = evaluation.calibrator_of(run)
    plain = None if calibrator is None else calibrator.to_json()
    runs.write_json(target / layout.CALIBRATION, plain)
    named = calibrator.name if calibrator is not None else "none"
    silent = _write_promises(run, named, target, notes)
    runs.write_json(target / layout.REFERENCE, {**_reference(run), **silent})


def _write_promises(run: Run, calibrator: str, target: Path, notes: list[str]) -> dict[str, float]:
    """Prediction sets of the model's own probabilities, and the cut of abstention.

    The cut is of calibrated probabilities: it is chosen on those that no fit saw the patient of.

    Returns:
        how often the service abstains on validation records; nothing where there are no promises.
    """
    found: list[dict[str, Any]] = []
    silent = {}
    try:
        choice = evaluation.choice_of(run, calibrator)
        validation = evaluation.read(run, split="validation").predictions
        calibrating = replace(validation, probability=choice.held_out)
        test = evaluation.read(run, calibrator=choice.calibrator).predictions
        found = _sets(run, validation, evaluation.read(run).predictions)
        silence = _silence(run, calibrating, test, notes)
        runs.write_json(target / layout.ABSTENTION, silence)
        sizes = sets(validation.probability, control(validation, COVERAGE), validation.task).sum(
            axis=1
        )
        silent["abstained"] = round(_silent(calibrating, sizes, silence["cut"]), _DECIMALS)
    except InputError as error:
        notes.append(f"No prediction sets and no abstention: {error.message}.")
    runs.write_json(target / layout.CONFORMAL, {"unit": "patient", "sets": found})
    return silent


def _silent(given: Predictions, sizes: np.ndarray, cut: float | None) -> float:
    """Share of records on which the service abstains by its own defaults."""
    sure = certainty(given.probability, given.predicted, given.task)
    empty = given.predicted.sum(axis=1) == 0
    return float((empty | (sure < (-np.inf if cut is None else cut)) | (sizes > WIDEST)).mean())


def _silence(
    run: Run, calibrating: Predictions, test: Predictions, notes: list[str]
) -> dict[str, Any]:
    """The cut, chosen on validation records and measured on test records."""
    wanted = run.project.evaluate.risk
    try:
        chosen = choose_cut(calibrating, wanted)
    except InputError as error:
        notes.append(f"The risk of {wanted} cannot be kept, a tenth is left out: {error.message}.")
        chosen = choose_cut(calibrating)
    found = chosen.to_json()
    if not np.isfinite(chosen.cut):
        found["cut"] = None  # JSON has no infinity: every record is answered
    if test.n:
        answered = certainty(test.probability, test.predicted, test.task) >= chosen.cut
        wrong = (test.truth != test.predicted).any(axis=1)
        found["measured"] = {
            "records": test.n,
            "coverage": float(answered.mean()),
            "risk": float(wrong[answered].mean()) if answered.any() else None,
            "risk_of_all": float(wrong.mean()),
        }
    return found


def _sets(run: Run, calibrating: Predictions, test: Predictions) -> list[dict[str, Any]]:
    """Cuts with what they promise, and what they hold on test rows."""
    found = []
    for target in sorted({*_TARGETS, run.project.evaluate.coverage}):
        promised = control(calibrating, target)
        row: dict[str, Any] = {
            "target": target,
            "cut": promised.cut if np.isfinite(promised.cut) else None,
            "patients": promised.patients,
            "method": promised.method,
        }
        if test.n:
            row["measured"] = measure_sets(test, promised).to_json()
        found.append(row)
    return found


def _reference(run: Run) -> dict[str, Any]:
    """How often each label is predicted on validation rows, and its mean probability."""
    table = pq.read_table(run.folder / training.PREDICTIONS)
    table = table.filter(pc.equal(table["split"], "validation"))
    if not table.num_rows:
        return {"records": 0}
    means = {
        key: np.array(table[column].to_pylist(), dtype=np.float64).mean(0).round(_DECIMALS)
        for key, column in (("predicted", "predicted"), ("mean_probability", "probability"))
    }
    return {"records": table.num_rows, **{key: value.tolist() for key, value in means.items()}}

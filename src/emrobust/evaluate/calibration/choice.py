"""Which calibrator is the best: cross-validated on validation records, patient by patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from emrobust import registry, rng
from emrobust.errors import InputError
from emrobust.evaluate import metrics
from emrobust.evaluate.calibration.calibrator import Calibrator, kind, nll
from emrobust.evaluate.metrics import Floats
from emrobust.evaluate.predictions import Predictions

AUTO, NONE = "auto", "none"
_FOLDS = 5
# Fewer cannot tell one calibrator from another.
_LEAST_RECORDS = 50


@dataclass(frozen=True)
class Choice:
    """A calibrator fitted on all validation records, and how it was chosen.

    Attributes:
        calibrator: the chosen one.
        scores: name → nll, brier and ece of each candidate on folds that did not fit it.
        held_out: the chosen one's probabilities [n, K] of the same records, each from a fit
            that did not see its patient: what the cut of abstention is chosen on.
        records: validation records.
        patients: their patients.
    """

    calibrator: Calibrator
    scores: Mapping[str, Mapping[str, float]]
    held_out: Floats
    records: int
    patients: int

    def to_json(self) -> dict[str, Any]:
        """What is saved with a run."""
        return {
            **self.calibrator.to_json(),
            "validation": {name: dict(of) for name, of in self.scores.items()},
            "records": self.records,
            "patients": self.patients,
        }


def choose(given: Predictions, *, wanted: str = AUTO, seed: int = 0, bins: int = 10) -> Choice:
    """The calibrator with the lowest cross-validated negative log-likelihood.

    Args:
        given: of validation records, uncalibrated.
        wanted: ``auto``, or the name of the one to take.
        seed: of the folds.
        bins: of the calibration error that is reported beside it.

    Raises:
        ConfigError: no calibrator is called so.
        InputError: there are too few records or patients.
    """
    names = list(registry.names("calibrator")) if wanted == AUTO else [wanted]
    kinds = {name: kind(name) for name in names}
    if given.n < _LEAST_RECORDS or given.patients < 2 * _FOLDS:
        raise InputError(
            f"{given.n} validation records of {given.patients} patients are too few to calibrate",
            f"It takes {_LEAST_RECORDS} records of {2 * _FOLDS} patients; validate on more.",
        )
    held_out = {name: _held_out(of, given, seed) for name, of in kinds.items()}
    scores = {name: _scores(given, probability, bins) for name, probability in held_out.items()}
    best = min(scores, key=lambda name: scores[name]["nll"])
    fitted = kinds[best](given.task).fit(given.truth, given.probability)
    return Choice(fitted, scores, held_out[best], given.n, given.patients)


def _held_out(of: type[Calibrator], given: Predictions, seed: int) -> Floats:
    fold = rng.generator(seed, "calibration folds").permutation(given.patients) % _FOLDS
    of_record = fold[given.patient]
    found = np.empty_like(given.probability)
    for k in range(_FOLDS):
        inside, outside = of_record == k, of_record != k
        fitted = of(given.task).fit(given.truth[outside], given.probability[outside])
        found[inside] = fitted.apply(given.probability[inside])
    return found


def _scores(given: Predictions, probability: Floats, bins: int) -> dict[str, float]:
    return {
        "nll": nll(given.truth, probability, given.task),
        "brier": metrics.brier(given.truth, probability),
        "ece": metrics.ece(given.truth, probability, bins),
    }

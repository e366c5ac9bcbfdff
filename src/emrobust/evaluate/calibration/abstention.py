"""Abstention: the least certain records are left to the doctor; how right are the others?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaincinv  # scipy.stats would load for a second

from emrobust.errors import InputError
from emrobust.evaluate import metrics
from emrobust.evaluate.metrics import Floats, Indicator
from emrobust.evaluate.predictions import Predictions

_GRID = np.round(np.arange(0.05, 1.001, 0.05), 2)
_LEAST = 1e-12
_CUTS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
_DOUBT = 0.05


@dataclass(frozen=True)
class RiskCoverage:
    """The records with the surest predictions first.

    Attributes:
        coverage: share of the records that the model decides.
        risk: of these, the share whose predicted labels are not exactly the true ones.
        micro_f1: of these.
        area: mean risk over all coverages (AURC); lower is better.
        area_best: the same for a ranking that knows which predictions are wrong.
    """

    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    micro_f1: tuple[float, ...]
    area: float
    area_best: float

    def at(self, coverage: float) -> tuple[float, float]:
        """Risk and micro-F1 at the nearest coverage of the grid."""
        place = int(np.argmin(np.abs(np.array(self.coverage) - coverage)))
        return self.risk[place], self.micro_f1[place]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Cut:
    """Where the model stops to decide: less certain records are left to the doctor.

    Attributes:
        cut: of `certainty`; records from here on are answered.
        wanted: the risk that was asked for; None where the least certain tenth is left out.
        coverage: share of the validation records that are answered.
        risk: of these, the share whose predicted labels are not exactly the true ones.
        bound: what that risk is at most, with 95 % confidence, for a new patient.
        patients: of the answered records.
    """

    cut: float
    wanted: float | None
    coverage: float
    risk: float
    bound: float
    patients: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dict(self.__dict__)


def certainty(probability: Floats, predicted: Indicator, task: str) -> Floats:
    """Log of the probability that all decisions of a record are right, [n].

    Labels are taken as independent given the text, as the model itself takes them; for a
    single-label task it is the log-probability of the chosen label.

    Args:
        probability: calibrated, [n, K].
        predicted: 0 and 1, [n, K].
        task: ``multi`` or ``single``.
    """
    inside = np.clip(probability, _LEAST, 1 - _LEAST)
    if task == "single":
        return np.asarray(np.log((inside * predicted).sum(axis=1)))
    return np.asarray(np.where(predicted == 1, np.log(inside), np.log1p(-inside)).sum(axis=1))


def choose_cut(given: Predictions, wanted: float | None = None) -> Cut:
    """The cut that leaves the fewest records out and keeps the risk that was asked for.

    Ten shares of the records are tried, so each bound is taken at a tenth of the doubt
    (Bonferroni; Geifman & El-Yaniv 2017 do it by bisection). Visits of a patient are alike, so
    the bound counts patients: that of Clopper and Pearson with as many trials as there are.

    Args:
        given: validation records with calibrated probabilities that no fit saw the patient of.
        wanted: highest share of wrong answers among those given; absent: a tenth is left out.

    Raises:
        InputError: no cut keeps that risk on so many records.
    """
    score = certainty(given.probability, given.predicted, given.task)
    order = np.argsort(-score, kind="stable")
    wrong = (given.truth != given.predicted).any(axis=1)
    shares = _CUTS if wanted is not None else _CUTS[1:2]
    for share in shares:
        answered = order[: max(1, round(share * given.n))]
        patients = len(np.unique(given.patient[answered]))
        risk = float(wrong[answered].mean())
        bound = _bound(risk, patients, _DOUBT / len(shares))
        if wanted is None or bound <= wanted:
            cut = float(score[answered[-1]]) if share < 1 else -np.inf
            return Cut(cut, wanted, share, risk, bound, patients)
    raise InputError(
        f"no cut keeps the share of wrong answers below {wanted} on {given.n} validation records",
        "Ask for a higher `evaluate.risk`, or train on more records.",
    )


def _bound(risk: float, trials: int, doubt: float) -> float:
    """What a risk is at most (Clopper & Pearson 1934)."""
    return float(betaincinv(risk * trials + 1, trials * (1 - risk), 1 - doubt)) if risk < 1 else 1.0


def risk_coverage(given: Predictions) -> RiskCoverage:
    """The risk-coverage curve of predictions (El-Yaniv & Wiener 2010)."""
    order = np.argsort(-certainty(given.probability, given.predicted, given.task), kind="stable")
    wrong = (given.truth != given.predicted).any(axis=1)[order].astype(np.float64)
    counts = np.arange(1, given.n + 1)
    running = np.cumsum(wrong) / counts
    taken = np.maximum(1, np.round(_GRID * given.n).astype(int))
    truth, predicted = given.truth[order], given.predicted[order]
    micro = [float(metrics.f1(metrics.count(truth[:n], predicted[:n]).total())) for n in taken]
    return RiskCoverage(
        coverage=tuple(float(share) for share in _GRID),
        risk=tuple(round(float(running[n - 1]), 6) for n in taken),
        micro_f1=tuple(round(value, 6) for value in micro),
        area=float(running.mean()),
        area_best=float((np.cumsum(np.sort(wrong)) / counts).mean()),
    )

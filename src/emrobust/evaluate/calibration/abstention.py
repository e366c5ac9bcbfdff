"""Abstention: the least certain records are left to the doctor; how right are the others?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from emrobust.evaluate import metrics
from emrobust.evaluate.metrics import Floats
from emrobust.evaluate.predictions import Predictions

_GRID = np.round(np.arange(0.05, 1.001, 0.05), 2)
_LEAST = 1e-12


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


def certainty(given: Predictions) -> Floats:
    """Log of the probability that all decisions of a record are right, [n].

    Labels are taken as independent given the text, as the model itself takes them; for a
    single-label task it is the log-probability of the chosen label.
    """
    inside = np.clip(given.probability, _LEAST, 1 - _LEAST)
    if given.task == "single":
        return np.asarray(np.log((inside * given.predicted).sum(axis=1)))
    return np.asarray(np.where(given.predicted == 1, np.log(inside), np.log1p(-inside)).sum(axis=1))


def risk_coverage(given: Predictions) -> RiskCoverage:
    """The risk-coverage curve of predictions (El-Yaniv & Wiener 2010)."""
    order = np.argsort(-certainty(given), kind="stable")
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

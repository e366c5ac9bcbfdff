"""Sets of labels that hold the true ones as often as was asked for, whatever the model.

Conformal risk control (Angelopoulos et al. 2024): a label is in the set where its score reaches
a cut, and the cut is the highest at which the mean loss of n calibration units, with one unit of
the worst loss added, stays below what is allowed. The loss of a record is the share of its true
labels that the set misses; for a single-label task that is 0 or 1, and the method is split
conformal prediction (LAC: Sadinle et al. 2019; APS: Romano et al. 2020).

Visits of one patient are alike, so they are no independent evidence: the unit is the patient,
whose loss is the mean over the patient's records. The promise is then: for a new patient, the
expected share of missed labels is at most ``1 - target``. It holds for patients from the same
population; another hospital's are not (see the suites).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from emrobust import rng
from emrobust.errors import InputError
from emrobust.evaluate.metrics import Floats, Indicator, ratio
from emrobust.evaluate.predictions import Predictions

Method = Literal["lac", "aps"]


@dataclass(frozen=True)
class Guarantee:
    """A cut with its promise.

    Attributes:
        target: share of the true labels that the sets shall hold.
        cut: scores from here on are in the set; minus infinity where all labels are needed.
        patients: calibration units.
        method: ``lac`` (the probability itself; also for several labels) or ``aps``.
    """

    target: float
    cut: float
    patients: int
    method: Method = "lac"


@dataclass(frozen=True)
class SetSizes:
    """What the sets of a `Guarantee` are like on records that calibrated nothing.

    Attributes:
        target: what was asked for.
        coverage: mean over patients of the share of true labels that the sets hold.
        mean: labels a record.
        median: labels a record.
        high: labels that 90 % of the records do not exceed.
        empty: share of records with no label in the set.
        cut: of the scores.
    """

    target: float
    coverage: float
    mean: float
    median: float
    high: float
    empty: float
    cut: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dict(self.__dict__)


def control(given: Predictions, target: float, method: Method = "lac", seed: int = 0) -> Guarantee:
    """The highest cut that keeps the promise, from calibration records.

    Args:
        given: the model's own probabilities of records that trained nothing. Not calibrated ones,
            since the promise needs scores that did not see the records it is made on.
        target: above 0.5 and below 1.
        method: ``aps`` for a single-label task only.
        seed: of the random tie-breaking of APS.

    Raises:
        InputError: the target or the method does not fit.
    """
    if not 0.5 < target < 1:
        raise InputError(f"a coverage of {target} cannot be promised", "Ask for 0.95, say.")
    score = scores(given.probability, method, given.task, seed)
    row, label = np.nonzero(given.truth)
    order = np.argsort(score[row, label], kind="stable")
    lost = np.cumsum(_weights(given)[row[order]])
    # With one unit of the worst loss added: (n * risk + 1) / (n + 1) <= 1 - target.
    allowed = (1 - target) * (given.patients + 1) - 1
    place = int(np.searchsorted(lost, allowed + 1e-9, side="right"))
    if allowed < 0:
        cut = -np.inf  # so few patients promise nothing but with all labels
    elif place == len(order):
        cut = np.inf
    else:
        cut = float(score[row, label][order[place]])
    return Guarantee(target, cut, given.patients, method)


def _weights(given: Predictions) -> Floats:
    """What a true label that is missed adds to the summed loss of all patients, by record."""
    visits = np.bincount(given.patient, minlength=given.patients)
    labels = given.truth.sum(axis=1)
    return ratio(np.ones(given.n), labels * visits[given.patient])


def scores(probability: Floats, method: Method, task: str, seed: int = 0) -> Floats:
    """How well each label conforms, [n, K]; higher is better.

    Raises:
        InputError: APS was asked for with several labels.
    """
    if method == "lac":
        return probability
    if task != "single":
        raise InputError("APS sets are for a single-label task", 'Take the method "lac".')
    order = np.argsort(-probability, axis=1, kind="stable")
    ranked = np.take_along_axis(probability, order, axis=1)
    chance = rng.generator(seed, "aps").random((len(probability), 1))
    # What is likelier, and a random part of the label itself, so that sets are not too large.
    before = np.cumsum(ranked, axis=1) - ranked * chance
    found = np.empty_like(probability)
    np.put_along_axis(found, order, 1 - before, axis=1)
    return found


def sets(probability: Floats, of: Guarantee, task: str, seed: int = 0) -> Indicator:
    """The labels of each record's set, uint8 [n, K]."""
    inside = scores(probability, of.method, task, seed) >= of.cut
    return inside.astype(np.uint8)


def measure_sets(given: Predictions, of: Guarantee, seed: int = 1) -> SetSizes:
    """How often the sets of test records hold the true labels, and how large they are."""
    chosen = sets(given.probability, of, given.task, seed)
    missed = (given.truth & ~chosen & 1).sum(axis=1)
    size = chosen.sum(axis=1)
    return SetSizes(
        target=of.target,
        coverage=float(1 - (missed * _weights(given)).sum() / given.patients),
        mean=float(size.mean()),
        median=float(np.median(size)),
        high=float(np.quantile(size, 0.9, method="higher")),
        empty=float((size == 0).mean()),
        cut=of.cut if np.isfinite(of.cut) else None,
    )

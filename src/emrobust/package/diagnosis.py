"""A model's probabilities → what a doctor is told: ranked labels, a set, or that it is not sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emrobust.package.model import Package

# As the service has them by default: the coverage of prediction sets that is shown, and the widest
# set that says much. (It does not import them: its settings are read before a model is needed.)
COVERAGE, WIDEST = 0.9, 10


@dataclass(frozen=True)
class Diagnosis:
    """What a model says of one text.

    Attributes:
        probability: calibrated, float64 [labels].
        chosen: what is decided, bool [labels].
        inside: the prediction set, bool [labels]; None where the package promises none.
        coverage: of the set; None likewise.
        reasons: why the model abstains, as codes; empty where it does not.
    """

    probability: np.ndarray
    chosen: np.ndarray
    inside: np.ndarray | None
    coverage: float | None
    reasons: tuple[str, ...]

    @property
    def abstained(self) -> bool:
        """Whether the model says that it is not sure."""
        return bool(self.reasons)

    def ranked(self) -> np.ndarray:
        """Columns from the likeliest label on."""
        return np.argsort(-self.probability, kind="stable")


def diagnose(
    package: Package, own: np.ndarray, *, coverage: float | None, widest: int = WIDEST
) -> list[Diagnosis]:
    """Turn the probabilities of texts into diagnoses.

    Args:
        package: whose they are.
        own: the model's own probabilities, [texts, labels].
        coverage: of the prediction sets; None: no sets.
        widest: a set of more labels says little, so the model abstains.

    Raises:
        InputError: the package promises no such coverage.
    """
    wide = own.astype(np.float64)
    probability = package.calibrate(wide)
    chosen = package.decide(own).astype(bool)
    inside = None if coverage is None else package.sets(wide, coverage).astype(bool)
    unsure = package.abstain(probability, chosen)
    found = []
    for row, of_row in enumerate(probability):
        in_set = None if inside is None else inside[row]
        reasons = []
        if not chosen[row].any():
            reasons.append("nothing_chosen")
        if in_set is not None and in_set.sum() > widest:
            reasons.append("set_too_wide")
        if unsure[row]:
            reasons.append("low_confidence")
        found.append(Diagnosis(of_row, chosen[row], in_set, coverage, tuple(reasons)))
    return found


def default_coverage(package: Package, wanted: float) -> float | None:
    """The coverage where a request names none: the wanted one, or the nearest that is promised."""
    return min(package.guarantees, key=lambda target: abs(target - wanted), default=None)

"""A model's probabilities → what a doctor is told: ranked labels, a set, or that it is not sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emrobust.package import Package


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
    package: Package, own: np.ndarray, *, coverage: float | None, widest: int
) -> Diagnosis:
    """Turn one text's probabilities into a diagnosis.

    Args:
        package: whose they are.
        own: the model's own probabilities, [labels].
        coverage: of the prediction set; None: no set.
        widest: a set of more labels says little, so the model abstains.

    Raises:
        InputError: the package promises no such coverage.
    """
    row = own[None].astype(np.float64)
    probability = package.calibrate(row)
    chosen = package.decide(own[None])[0].astype(bool)
    inside = None if coverage is None else package.sets(row, coverage)[0].astype(bool)
    reasons = []
    if not chosen.any():
        reasons.append("nothing_chosen")
    if inside is not None and inside.sum() > widest:
        reasons.append("set_too_wide")
    if package.abstain(probability, chosen[None])[0]:
        reasons.append("low_confidence")
    return Diagnosis(probability[0], chosen, inside, coverage, tuple(reasons))


def default_coverage(package: Package, wanted: float) -> float | None:
    """The coverage where a request names none: the wanted one, or the nearest that is promised."""
    return min(package.guarantees, key=lambda target: abs(target - wanted), default=None)

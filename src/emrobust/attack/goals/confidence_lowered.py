"""The model is less sure of the true labels, whether or not its decision turns."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from emrobust.attack.goal import Case, Floats, Goal, Mask
from emrobust.registry import register


@register("goal")
class ConfidenceLowered(Goal):
    """The mean probability of the true labels falls to a share of what it was.

    Args:
        share: of the unchanged text's mean probability.
    """

    task: ClassVar[Literal["multi", "single", "both"]] = "both"

    def __init__(self, *, share: Annotated[float, Field(gt=0, lt=1)] = 0.5) -> None:
        self.share = share

    def attackable(self, case: Case) -> bool:
        """Whether the record has a label that the model gives any probability."""
        return bool(case.truth.any()) and float(case.probability[case.truth].max()) > 0.0

    def score(self, case: Case, probability: Floats) -> Floats:
        """How far the mean has fallen, beyond what is wanted."""
        wanted = self.share * case.probability[case.truth].mean()
        fallen: Floats = wanted - probability[:, case.truth].mean(axis=1)
        return fallen

    def reached(self, case: Case, probability: Floats) -> Mask:
        """Where it has fallen far enough."""
        return self.score(case, probability) >= 0.0

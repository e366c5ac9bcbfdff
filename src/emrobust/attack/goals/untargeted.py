"""A single-label model that was right chooses another label, whichever."""

from __future__ import annotations

from typing import ClassVar, Literal

from emrobust.attack.goal import Case, Floats, Goal, Mask, highest
from emrobust.registry import register


@register("goal")
class Untargeted(Goal):
    """Misclassification, the goal of most attacks in the literature."""

    task: ClassVar[Literal["multi", "single", "both"]] = "single"

    def attackable(self, case: Case) -> bool:
        """Whether the model was right."""
        return bool((case.truth & case.decided).any())

    def score(self, case: Case, probability: Floats) -> Floats:
        """The lead of the likeliest wrong label."""
        return highest(probability, ~case.truth) - highest(probability, case.truth)

    def reached(self, case: Case, probability: Floats) -> Mask:
        """Where the choice (the first of equals) is wrong."""
        wrong: Mask = ~case.truth[probability.argmax(axis=1)]
        return wrong

"""A decision that was right turns wrong: a true label is dropped or a false one added."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from emrobust.attack.goal import Case, Floats, Goal, Mask, cut, highest
from emrobust.registry import register


@register("goal")
class SetChanged(Goal):
    """The predicted set changes for the worse; mistakes that get mended are no success."""

    task: ClassVar[Literal["multi", "single", "both"]] = "multi"

    def attackable(self, case: Case) -> bool:
        """Whether a decision was right."""
        return bool((case.truth == case.decided).any())

    def score(self, case: Case, probability: Floats) -> Floats:
        """The largest step over a threshold, in the wrong direction."""
        over = probability - cut(case)
        return highest(np.where(case.truth, -over, over), case.truth == case.decided)

    def reached(self, case: Case, probability: Floats) -> Mask:
        """Where a right decision has turned."""
        turned = (probability >= cut(case)) != case.decided
        found: Mask = (turned & (case.truth == case.decided)).any(axis=1)
        return found

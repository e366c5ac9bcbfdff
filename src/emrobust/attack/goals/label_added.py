"""A label that is not true and was not predicted is predicted."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from emrobust.attack.goal import Case, Floats, Goal, Mask, cut, highest
from emrobust.registry import register


@register("goal")
class LabelAdded(Goal):
    """A false diagnosis: the label nearest to its threshold rises first."""

    task: ClassVar[Literal["multi", "single", "both"]] = "multi"

    def attackable(self, case: Case) -> bool:
        """Whether there is a label that is neither true nor predicted."""
        return not bool((case.truth | case.decided).all())

    def score(self, case: Case, probability: Floats) -> Floats:
        """The largest rise above a threshold."""
        return highest(probability - cut(case), ~(case.truth | case.decided))

    def reached(self, case: Case, probability: Floats) -> Mask:
        """Where one lies at its threshold or above."""
        above = (probability >= cut(case)) & ~case.truth & ~case.decided
        return np.asarray(above.any(axis=1))

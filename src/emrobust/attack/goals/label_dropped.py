"""A true label that was predicted is predicted no more."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from emrobust.attack.goal import Case, Floats, Goal, Mask, cut, highest
from emrobust.registry import register


@register("goal")
class LabelDropped(Goal):
    """A missed diagnosis: the label nearest to its threshold falls first."""

    task: ClassVar[Literal["multi", "single", "both"]] = "multi"

    def attackable(self, case: Case) -> bool:
        """Whether a true label was predicted."""
        return bool((case.truth & case.decided).any())

    def score(self, case: Case, probability: Floats) -> Floats:
        """The largest fall below a threshold."""
        return highest(cut(case) - probability, case.truth & case.decided)

    def reached(self, case: Case, probability: Floats) -> Mask:
        """Where one lies below."""
        below = (probability < cut(case)) & case.truth & case.decided
        return np.asarray(below.any(axis=1))

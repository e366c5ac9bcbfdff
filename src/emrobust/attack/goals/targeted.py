"""A single-label model chooses one label that the attacker names."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from emrobust.attack.goal import Case, Floats, Goal, Mask, highest
from emrobust.errors import ConfigError, did_you_mean
from emrobust.registry import register


@register("goal")
class Targeted(Goal):
    """Records whose label it is already, or that are given it already, are left out.

    Args:
        label: the wanted label, by its name.
    """

    task: ClassVar[Literal["multi", "single", "both"]] = "single"

    def __init__(self, *, label: str) -> None:
        self.label = label

    def attackable(self, case: Case) -> bool:
        """Whether the label is neither true nor chosen.

        Raises:
            ConfigError: the model does not know it.
        """
        wanted = self._wanted(case)
        return not bool((wanted & (case.truth | case.decided)).any())

    def score(self, case: Case, probability: Floats) -> Floats:
        """The lead of the wanted label."""
        wanted = self._wanted(case)
        return highest(probability, wanted) - highest(probability, ~wanted)

    def reached(self, case: Case, probability: Floats) -> Mask:
        """Where it is chosen."""
        found: Mask = self._wanted(case)[probability.argmax(axis=1)]
        return found

    def _wanted(self, case: Case) -> Mask:
        wanted = np.array([name == self.label for name in case.names])
        if not wanted.any():
            raise ConfigError(
                f"the goal's label {self.label!r} is not one of the model's",
                did_you_mean(self.label, case.names),
            )
        return wanted

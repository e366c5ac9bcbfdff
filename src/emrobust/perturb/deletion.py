"""Deletion: single characters are lost, never two that stand side by side."""

from __future__ import annotations

from random import Random
from typing import ClassVar

from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps, Language, Perturbation
from emrobust.registry import register


@register("perturbation")
class Deletion(Perturbation):
    """Random deletion.

    Args:
        rate: share of the characters that are proposed for deletion.
    """

    source: ClassVar[str] = "EDA, Wei & Zou 2019 (p = 0.1)"
    language: ClassVar[Language] = "both"

    def __init__(self, *, rate: float = 0.1) -> None:
        self.gaps = Gaps(rate)

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        last = -2
        edits = []
        for place in self.gaps.pick(len(text), random):
            if place > last + 1 and text[place].isalpha():
                edits.append(Edit(place, place + 1, ""))
                last = place
        return edits

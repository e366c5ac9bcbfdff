"""Swap: two neighbouring characters change places."""

from __future__ import annotations

from random import Random
from typing import ClassVar

from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps, Language, Perturbation
from emrobust.registry import register


@register("perturbation")
class Swap(Perturbation):
    """Random swap of neighbours.

    Args:
        rate: share of the characters that are proposed to change places with the next.
    """

    source: ClassVar[str] = "EDA, Wei & Zou 2019 (p = 0.1), of neighbours as fingers err"
    language: ClassVar[Language] = "both"

    def __init__(self, *, rate: float = 0.1) -> None:
        self.gaps = Gaps(rate)

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        edits = []
        free = 0
        for place in self.gaps.pick(len(text) - 1, random):
            pair = text[place : place + 2]
            if place >= free and pair.isalpha() and pair[0] != pair[1]:
                free = place + 2
                edits.append(Edit(place, free, pair[::-1]))
        return edits

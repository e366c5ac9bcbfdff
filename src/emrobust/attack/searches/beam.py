"""Beam: the most important word first, with several ways to change what came before."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Annotated, ClassVar

from pydantic import Field

from emrobust.attack.importance import Importance, rank
from emrobust.attack.search import REFUSED, Ask, Edits, Search, Steps, add
from emrobust.attack.units import Unit
from emrobust.registry import register


@register("search")
class Beam(Search):
    """The best few sets of edits are kept at each word, with and without an edit of it.

    Args:
        width: sets that are kept; 1 is the greedy search.
        importance: see `importance.rank`.
    """

    source: ClassVar[str] = "BeamSearch of TextAttack, along the ranked words"

    def __init__(
        self, *, width: Annotated[int, Field(ge=1)] = 3, importance: Importance = "delete"
    ) -> None:
        self.width = width
        self.importance = importance

    def steps(self, units: Sequence[Unit], start: float, random: Random) -> Steps:
        """See `Search.steps`."""
        order = yield from rank(units, self.importance, random)
        kept: list[tuple[float, Edits]] = [(start, ())]
        for unit in order:
            trials = [add(taken, edit) for _, taken in kept for edit in unit.edits]
            scores = yield Ask(trials)
            grown = [of for of in zip(scores, trials, strict=True) if of[0] > REFUSED]
            # Of equal scores the one with fewer edits, then the one found first, is kept.
            kept = sorted(kept + grown, key=lambda of: (-of[0], len(of[1])))[: self.width]

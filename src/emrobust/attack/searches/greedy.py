"""Greedy: the most important word first, each by its best edit if that helps."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from emrobust.attack.importance import Importance, rank
from emrobust.attack.search import Ask, Edits, Search, Steps, add
from emrobust.attack.units import Unit
from emrobust.registry import register


@register("search")
class Greedy(Search):
    """Word importance ranking, then one pass over the words in that order.

    Args:
        importance: see `importance.rank`.
    """

    source: ClassVar[str] = "GreedyWordSwapWIR of TextAttack; TextFooler, Jin et al. 2020"

    def __init__(self, *, importance: Importance = "delete") -> None:
        self.importance = importance

    def steps(self, units: Sequence[Unit], start: float, random: Random) -> Steps:
        """See `Search.steps`."""
        order = yield from rank(units, self.importance, random)
        taken: Edits = ()
        best = start
        for unit in order:
            trials = [add(taken, edit) for edit in unit.edits]
            scores = yield Ask(trials)
            top = max(scores)
            if top > best:
                taken, best = trials[scores.index(top)], top

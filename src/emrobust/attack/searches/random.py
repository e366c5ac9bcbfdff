"""Random: sets of edits drawn at random, the control that any search must beat."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random as Generator
from typing import Annotated, ClassVar

from pydantic import Field

from emrobust.attack.search import Ask, Edits, Search, Steps
from emrobust.attack.units import Unit
from emrobust.registry import register

_BATCH = 8  # texts that are asked at a time, so that a success spares the others


@register("search")
class Random(Search):
    """Each text has its own words changed, each by one of its edits.

    Args:
        most: words changed in a text, at most; their number is drawn too.
        texts: texts that are tried.
    """

    source: ClassVar[str] = "the control of Jia & Liang 2017: random choice among the same edits"

    def __init__(
        self, *, most: Annotated[int, Field(ge=1)] = 6, texts: Annotated[int, Field(ge=1)] = 200
    ) -> None:
        self.most = most
        self.texts = texts

    def steps(self, units: Sequence[Unit], start: float, random: Generator) -> Steps:
        """See `Search.steps`."""
        del start
        if not units:
            return
        for first in range(0, self.texts, _BATCH):
            size = min(_BATCH, self.texts - first)
            yield Ask([self._draw(units, random) for _ in range(size)])

    def _draw(self, units: Sequence[Unit], random: Generator) -> Edits:
        count = random.randint(1, min(self.most, len(units)))
        chosen = random.sample(list(units), count)
        return tuple(sorted(random.choice(unit.edits) for unit in chosen))

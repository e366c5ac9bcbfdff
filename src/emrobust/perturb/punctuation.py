"""Punctuation: marks are lost, doubled, of the other width, replaced, or become a space."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import ClassVar

from emrobust.perturb import noise
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps, Language, Perturbation
from emrobust.registry import register

_LOST, _DOUBLED, _WIDTH = 0.25, 0.4, 0.7  # of the slips; the rest put another mark


@register("perturbation")
class Punctuation(Perturbation):
    """Careless punctuation, except where it ends what is denied, doubted or told of others.

    Args:
        rate: share of the marks that are proposed for a slip.
    """

    source: ClassVar[str] = "AEDA, Karimi et al. 2021, widened to what notes show"
    language: ClassVar[Language] = "both"
    rewrites: ClassVar[bool] = True

    def __init__(self, *, rate: float = 0.15) -> None:
        marks = noise.load().punctuation
        self.gaps = Gaps(rate)
        self.others = marks.others
        self.widths = {**dict(zip(marks.full, marks.half, strict=True)), "、": ","}
        self.widths |= dict(zip(marks.half, marks.full, strict=True))
        known = "".join(marks.others)
        # A point or colon between figures is part of a number.
        self.marks = re.compile(rf"[{re.escape(known)}](?!\d)")

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        widths = self.widths if noise.is_chinese(text) else {}
        places = [match.start() for match in self.marks.finditer(text)]
        return [
            Edit(
                places[which],
                places[which] + 1,
                self._slip(text[places[which]], widths, random.random),
            )
            for which in self.gaps.pick(len(places), random)
        ]

    def _slip(self, mark: str, widths: Mapping[str, str], draw: Callable[[], float]) -> str:
        kind = draw()
        if kind < _LOST:
            return ""
        if kind < _DOUBLED:
            return mark * 2
        others = self.others.get(mark)
        if others is None or (kind < _WIDTH and mark in widths):
            return widths.get(mark, mark)
        return others[int(draw() * len(others))]

"""Glyph: a character that looks alike, as in handwriting, scans and stroke input."""

from __future__ import annotations

from random import Random
from typing import ClassVar

from emrobust.lexicon.table import Use
from emrobust.perturb import confusions
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps, Language, Perturbation
from emrobust.registry import register


@register("perturbation")
class Glyph(Perturbation):
    """A look-alike; the nearest are chosen most often.

    Args:
        rate: share of the characters that are proposed for an error.
        use: pairs of the training partition, of the one held out for robustness suites, or all.
    """

    source: ClassVar[str] = "neighbours computed from Noto Sans CJK by scripts/glyphs.py"
    language: ClassVar[Language] = "zh"

    def __init__(self, *, rate: float = 0.05, use: Use = "train") -> None:
        self.gaps = Gaps(rate)
        self.table = confusions.load("glyphs", use)

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        places = self.gaps.pick(len(text), random)
        return confusions.confuse(text, places, self.table, random, 0.0)

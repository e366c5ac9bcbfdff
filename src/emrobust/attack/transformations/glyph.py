"""Glyph: characters that look alike, as in handwriting, scans and stroke input."""

from __future__ import annotations

from random import Random
from typing import Annotated, ClassVar

from pydantic import Field

from emrobust.attack import confused
from emrobust.attack.transformation import Transformation
from emrobust.lexicon.table import Use
from emrobust.perturb import Edit, confusions
from emrobust.perturb.perturbation import Language
from emrobust.registry import register


@register("transformation")
class Glyph(Transformation):
    """The nearest look-alikes.

    Args:
        each: candidates of a character, the nearest first.
        use: ``test``: pairs that training's augmentation never writes; ``train`` or ``all``.
    """

    source: ClassVar[str] = "Argot, Zhang et al. 2020 (glyph); neighbours by scripts/glyphs.py"
    language: ClassVar[Language] = "zh"

    def __init__(self, *, each: Annotated[int, Field(ge=1)] = 3, use: Use = "test") -> None:
        self.each = each
        self.held_out = use == "test"
        self.table = confusions.load("glyphs", use)

    def edits(self, text: str, random: Random) -> list[Edit]:
        """See `Transformation.edits`."""
        del random
        return confused.edits(text, self.table, each=self.each, longest=1)

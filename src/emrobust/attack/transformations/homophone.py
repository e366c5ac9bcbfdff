"""Homophone: characters and words of the same sound, as an input method offers them."""

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
class Homophone(Transformation):
    """The candidates of pinyin.

    Args:
        each: candidates of a character or word, the most frequent first.
        words: longest word that is mistaken as a whole, in characters; 1 for characters only.
        use: ``test``: pairs that training's augmentation never writes; ``train`` or ``all``.
    """

    source: ClassVar[str] = "Argot, Zhang et al. 2020 (pinyin); candidates by pypinyin"
    language: ClassVar[Language] = "zh"

    def __init__(
        self,
        *,
        each: Annotated[int, Field(ge=1)] = 4,
        words: Annotated[int, Field(ge=1, le=3)] = 3,
        use: Use = "test",
    ) -> None:
        self.each = each
        self.held_out = use == "test"
        self.words = words
        self.table = confusions.load("homophones", use)

    def edits(self, text: str, random: Random) -> list[Edit]:
        """See `Transformation.edits`."""
        del random
        return confused.edits(text, self.table, each=self.each, longest=self.words)

"""Homophone: another character or word of the same sound, as an input method offers it."""

from __future__ import annotations

from random import Random
from typing import ClassVar

from emrobust.lexicon.table import Use
from emrobust.perturb import confusions
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps, Language, Perturbation, check_rate
from emrobust.registry import register


@register("perturbation")
class Homophone(Perturbation):
    """Wrong choice among the candidates of pinyin; the most frequent are chosen most often.

    Args:
        rate: share of the characters that are proposed for an error.
        words: share of these at which a whole word is mistaken, where a word begins there.
        use: pairs of the training partition, of the one held out for robustness suites, or all.
    """

    source: ClassVar[str] = "pinyin input methods; candidates by pypinyin, ranked by jieba's counts"
    language: ClassVar[Language] = "zh"

    def __init__(self, *, rate: float = 0.05, words: float = 0.5, use: Use = "train") -> None:
        self.gaps = Gaps(rate)
        self.words = check_rate(words, "words")
        self.table = confusions.load("homophones", use)

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        places = self.gaps.pick(len(text), random)
        return confusions.confuse(text, places, self.table, random, self.words)

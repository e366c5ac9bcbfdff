"""Abbreviations of English notes: blood pressure → BP, shortness of breath → SOB."""

from __future__ import annotations

from random import Random
from typing import ClassVar

from emrobust.lexicon.table import Use
from emrobust.perturb import confusions
from emrobust.perturb.edits import Edit
from emrobust.perturb.english import Phrases
from emrobust.perturb.perturbation import Language, Perturbation
from emrobust.registry import register


@register("perturbation")
class Abbreviation(Perturbation):
    """Clinical abbreviations for what is written out.

    Args:
        rate: share of the terms in a text that are proposed.
        use: pairs of the training partition, of the one held out for robustness suites, or all.
    """

    source: ClassVar[str] = "Clinical abbreviations in common use, written for this project"
    language: ClassVar[Language] = "en"
    rewrites: ClassVar[bool] = True

    def __init__(self, *, rate: float = 0.3, use: Use = "train") -> None:
        self.phrases = Phrases(confusions.load("english_abbreviations", use), rate)

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        return self.phrases.propose(text, random)

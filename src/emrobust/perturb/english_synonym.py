"""Synonyms of English notes: dyspnea for shortness of breath, and plain words."""

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
class Synonym(Perturbation):
    """Another word for the same thing.

    Args:
        rate: share of the terms in a text that are proposed.
        use: pairs of the training partition, of the one held out for robustness suites, or all.
    """

    source: ClassVar[str] = "EDA, Wei & Zou 2019, with a clinical table in place of WordNet"
    language: ClassVar[Language] = "en"
    rewrites: ClassVar[bool] = True

    def __init__(self, *, rate: float = 0.2, use: Use = "train") -> None:
        self.phrases = Phrases(confusions.load("english_synonyms", use), rate)

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        return self.phrases.propose(text, random)

"""Contractions of English: does not → doesn't, which denies the same."""

from __future__ import annotations

from random import Random
from typing import ClassVar

from emrobust.perturb import confusions
from emrobust.perturb.edits import Edit
from emrobust.perturb.english import Phrases
from emrobust.perturb.perturbation import Language, Perturbation
from emrobust.registry import register


@register("perturbation")
class Contraction(Perturbation):
    """Short forms of verbs.

    Args:
        rate: share of the terms in a text that are proposed.
    """

    source: ClassVar[str] = "CheckList, Ribeiro et al. 2020"
    language: ClassVar[Language] = "en"
    rewrites: ClassVar[bool] = True

    def __init__(self, *, rate: float = 0.5) -> None:
        self.phrases = Phrases(confusions.load("contractions"), rate)

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        return self.phrases.propose(text, random)

"""Insertion: a character is typed twice, or one of the text slips in elsewhere."""

from __future__ import annotations

from random import Random
from typing import ClassVar

from emrobust.perturb import tokens
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps, Language, Perturbation, check_rate
from emrobust.registry import register


@register("perturbation")
class Insertion(Perturbation):
    """Random insertion of the text's own characters.

    Args:
        rate: share of the characters after which one is proposed.
        doubled: share of these that double the character before them.
    """

    source: ClassVar[str] = "EDA, Wei & Zou 2019 (p = 0.1), with characters for its synonyms"
    language: ClassVar[Language] = "both"

    def __init__(self, *, rate: float = 0.1, doubled: float = 0.5) -> None:
        self.gaps = Gaps(rate)
        self.cues = tokens.load().cues  # 无, 左, 三: they would be refused
        self.doubled = check_rate(doubled, "doubled")

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        draw, length = random.random, len(text)
        edits = []
        for place in self.gaps.pick(length, random):
            source = place if draw() < self.doubled else int(draw() * length)
            if text[place].isalpha() and text[source].isalpha() and text[source] not in self.cues:
                edits.append(Edit(place + 1, place + 1, text[source]))
        return edits

"""Typo: English words with a letter lost, doubled, exchanged or hit beside."""

from __future__ import annotations

import re
from random import Random
from typing import ClassVar

from emrobust.perturb import noise
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps, Language, Perturbation
from emrobust.registry import register

_WORD = re.compile(r"[A-Za-z]{4,}")  # shorter ones become other words too easily


@register("perturbation")
class Typo(Perturbation):
    """One slip in a word of four letters or more, not at its first letter.

    Args:
        rate: share of such words that get a slip.
    """

    source: ClassVar[str] = "TextBugger, Li et al. 2019, without its look-alikes"
    language: ClassVar[Language] = "en"

    def __init__(self, *, rate: float = 0.08) -> None:
        self.gaps = Gaps(rate)
        self.keys = noise.load().keys

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        words = [match.span() for match in _WORD.finditer(text)]
        return [
            self._slip(text, *words[which], random) for which in self.gaps.pick(len(words), random)
        ]

    def _slip(self, text: str, start: int, end: int, random: Random) -> Edit:
        place = start + 1 + int(random.random() * (end - start - 1))
        letter = text[place]
        kind = int(random.random() * 4)
        if kind == 0:
            return Edit(place, place + 1, "")
        if kind == 1:
            return Edit(place, place, letter)
        if kind == 2 and place + 1 < end:
            return Edit(place, place + 2, text[place + 1] + letter)
        near = self.keys[letter.lower()]
        other = near[int(random.random() * len(near))]
        return Edit(place, place + 1, other.upper() if letter.isupper() else other)

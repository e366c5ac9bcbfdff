"""Typo: English words with a letter lost, doubled, exchanged or hit beside."""

from __future__ import annotations

import re
from random import Random
from typing import Annotated, ClassVar

from pydantic import Field

from emrobust.attack.transformation import Transformation
from emrobust.perturb import Edit, noise
from emrobust.perturb.perturbation import Language
from emrobust.registry import register


@register("transformation")
class Typo(Transformation):
    """Slips inside a word, never at its first letter.

    Args:
        each: slips of a word, drawn from all there are.
        shortest: letters of a word that may get one; shorter ones become other words too easily.
    """

    source: ClassVar[str] = "TextBugger, Li et al. 2019, without its look-alikes"
    language: ClassVar[Language] = "en"

    def __init__(
        self, *, each: Annotated[int, Field(ge=1)] = 6, shortest: Annotated[int, Field(ge=2)] = 4
    ) -> None:
        self.each = each
        self.keys = noise.load().keys
        self.word = re.compile(rf"[A-Za-z]{{{shortest},}}")

    def edits(self, text: str, random: Random) -> list[Edit]:
        """See `Transformation.edits`."""
        found: list[Edit] = []
        for match in self.word.finditer(text):
            slips = self._slips(text, *match.span())
            found += random.sample(slips, min(self.each, len(slips)))
        return found

    def _slips(self, text: str, start: int, end: int) -> list[Edit]:
        found = []
        for place in range(start + 1, end):
            letter = text[place]
            found += [Edit(place, place + 1, ""), Edit(place, place, letter)]
            if place + 1 < end and text[place + 1] != letter:
                found.append(Edit(place, place + 2, text[place + 1] + letter))
            found += [
                Edit(place, place + 1, key.upper() if letter.isupper() else key)
                for key in self.keys.get(letter.lower(), "")
            ]
        return found

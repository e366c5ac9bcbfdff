"""Keyboard: neighbouring keys, pinyin left unconverted (头tong), and pinyin mistyped."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from random import Random
from typing import ClassVar, NamedTuple

from emrobust.perturb import noise
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps, Language, Perturbation, check_rate
from emrobust.perturb.tokens import TABLES
from emrobust.registry import register


class Pinyin(NamedTuple):
    """What is typed for a character, and what comes out.

    Attributes:
        typed: character or word → its syllables in Latin letters.
        first: syllable → the character that an input method offers first.
    """

    typed: Mapping[str, str]
    first: Mapping[str, str]


@functools.cache
def load_pinyin() -> Pinyin:
    """The sounds of ``homophones.csv``, whose characters are in the order of frequency."""
    typed: dict[str, str] = {}
    first: dict[str, str] = {}
    with (TABLES / "homophones.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            typed[row["term"]] = row["sound"]
            if len(row["term"]) == 1:
                first.setdefault(row["sound"], row["term"])
    return Pinyin(typed, first)


@register("perturbation")
class Keyboard(Perturbation):
    """Slips of the fingers on a keyboard with a pinyin input method.

    Args:
        rate: share of the characters that are proposed for a slip.
        unconverted: share of the slips at Chinese characters that leave the pinyin standing;
            the others hit a neighbouring key, so that another character comes out.
    """

    source: ClassVar[str] = "QWERTY neighbours; pinyin input methods"
    language: ClassVar[Language] = "both"

    def __init__(self, *, rate: float = 0.03, unconverted: float = 0.4) -> None:
        self.gaps = Gaps(rate)
        self.unconverted = check_rate(unconverted, "unconverted")
        self.keys = noise.load().keys
        self.pinyin = load_pinyin()

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        edits = []
        for place in self.gaps.pick(len(text), random):
            character = text[place]
            slip = self.keys.get(character.lower())
            if slip is not None:
                key = slip[int(random.random() * len(slip))]
                new = key.upper() if character.isupper() else key
            else:
                new = self._mistype(character, random)
            if new:
                edits.append(Edit(place, place + 1, new))
        return edits

    def _mistype(self, character: str, random: Random) -> str:
        """Pinyin in place of the character, or the character of a slipped syllable, or ""."""
        sound = self.pinyin.typed.get(character, "")
        if not sound or random.random() < self.unconverted:
            return sound
        place = int(random.random() * len(sound))
        slips = self.keys[sound[place]]
        for slip in slips:
            other = self.pinyin.first.get(sound[:place] + slip + sound[place + 1 :])
            if other:
                return other
        return ""

"""Words and phrases of English tables, found in a text by one pattern, longest first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps
from emrobust.perturb.tokens import trie


class Phrases:
    """A table of `confusions` to be used on English text.

    Args:
        table: term → what may stand for it.
        rate: P(a term that is found is proposed).
    """

    def __init__(self, table: Mapping[str, tuple[str, ...]], rate: float) -> None:
        self.gaps = Gaps(rate)
        self.table = {term.lower(): others for term, others in table.items()}
        self.pattern = re.compile(rf"(?<![A-Za-z])(?i:{trie(sorted(self.table))})(?![A-Za-z])")

    def propose(self, text: str, random: Random) -> list[Edit]:
        """Edits that replace some of the terms; a capital at the beginning stays."""
        found = list(self.pattern.finditer(text))
        edits = []
        for which in self.gaps.pick(len(found), random):
            term = found[which][0]
            others = self.table[term.lower()]
            other = others[int(random.random() * len(others))]
            if term[0].isupper() and other[0].islower():
                other = other[0].upper() + other[1:]
            edits.append(Edit(*found[which].span(), other))
        return edits

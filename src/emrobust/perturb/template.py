"""Template: what electronic templates leave behind, as 【】, a second 现病史：, 见病历."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import ClassVar

from emrobust.lexicon.table import Use
from emrobust.perturb import noise
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps, Language, Perturbation, check_rate
from emrobust.registry import register

_EDGE = re.compile(r"[，。；,;]|\.(?!\d)|\n")


@register("perturbation")
class Template(Perturbation):
    """Residue between clauses, a heading in front, a phrase at the end.

    Args:
        rate: share of the clauses that get residue.
        heading: P(a heading stands in front once more).
        closing: P(a phrase such as 见病历 is added).
        use: residue for training, that which is held out for robustness suites, or all.
    """

    source: ClassVar[str] = "templates of hospital information systems"
    language: ClassVar[Language] = "both"
    rewrites: ClassVar[bool] = True

    def __init__(
        self,
        *,
        rate: float = 0.1,
        heading: float = 0.15,
        closing: float = 0.15,
        use: Use = "train",
    ) -> None:
        self.gaps = Gaps(rate)
        self.heading = check_rate(heading, "heading")
        self.closing = check_rate(closing, "closing")
        self.words = noise.load().residue(use)

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        if not text.strip():
            return []
        draw, words = random.random, self.words
        chinese = noise.is_chinese(text)
        edits = []
        if draw() < self.heading:
            edits.append(
                Edit(0, 0, _one(words.headings if chinese else words.english_before, random))
            )
        edges = [match.start() for match in _EDGE.finditer(text)]
        for which in self.gaps.pick(len(edges), random):
            before = draw() < 0.5
            at = edges[which] + 1 if before else edges[which]
            residue = words.before if before else words.after
            edits.append(Edit(at, at, _one(residue if chinese else words.english_edge, random)))
        if draw() < self.closing:
            closing = words.closing if chinese else words.english_closing
            edits.append(Edit(len(text), len(text), _one(closing, random)))
        return edits


def _one(words: Sequence[str], random: Random) -> str:
    return words[int(random.random() * len(words))]

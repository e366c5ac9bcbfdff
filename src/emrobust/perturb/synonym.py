"""Synonym: a term by another of the same meaning and register, from the reviewed lexicon."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import ClassVar

from emrobust.lexicon import Lexicon
from emrobust.lexicon.table import Type, Use
from emrobust.perturb import terms, vectors
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps, Language, Perturbation, check_rate
from emrobust.registry import register


@register("perturbation")
class Synonym(Perturbation):
    """Replacement by semantic type: 腹痛 by 腹部疼痛, 冠心病 by 冠状动脉粥样硬化性心脏病.

    Args:
        rate: share of the terms found that are replaced.
        types: semantic types of the terms; drugs are left out unless named.
        use: pairs of the training partition, of the one held out for robustness suites, or all.
        lexicon: a folder with tables as lexicon/tables/README.md describes them; a table that it
            has not is the shipped one.
        vectors: a word-vector file (word2vec's text format) for further synonyms.
        minimum_cosine: how near a word of that file must be.
    """

    source: ClassVar[str] = "EDA, Wei & Zou 2019; lexicon/tables, written for this project"
    language: ClassVar[Language] = "zh"
    rewrites: ClassVar[bool] = True

    def __init__(
        self,
        *,
        rate: float = 0.3,
        types: tuple[Type, ...] = ("symptom", "sign", "disease", "test"),
        use: Use = "train",
        lexicon: Path | None = None,
        vectors: Path | None = None,
        minimum_cosine: float = 0.7,
    ) -> None:
        self.gaps = Gaps(rate)
        known = terms.load(lexicon)
        self.swaps: terms.Swaps = known.swaps(types, "formal", "formal", use)
        least = check_rate(minimum_cosine, "minimum_cosine")
        if vectors is not None:
            self.swaps = terms.join([self.swaps, _neighbours(vectors, known, types, least)])
        self.table = terms.Table(self.swaps, known)

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        return terms.replace(text, self.table, self.gaps, random)


def _neighbours(path: Path, known: Lexicon, types: tuple[Type, ...], least: float) -> terms.Swaps:
    return vectors.neighbours(path, known, types, minimum_cosine=least)

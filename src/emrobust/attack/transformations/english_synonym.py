"""Synonyms of English notes: dyspnea for shortness of breath, and plain words."""

from __future__ import annotations

from random import Random
from typing import Annotated, ClassVar

from pydantic import Field

from emrobust.attack.transformation import Transformation
from emrobust.perturb import Edit, confusions
from emrobust.perturb.english import Phrases
from emrobust.perturb.perturbation import Language
from emrobust.registry import register


@register("transformation")
class EnglishSynonym(Transformation):
    """Every word of the clinical table that may stand for a phrase of the text.

    Args:
        table: of `emrobust.perturb`: ``english_synonyms`` or ``english_abbreviations``.
        each: words for one phrase.
    """

    source: ClassVar[str] = "PWWS, Ren et al. 2019, with a clinical table in place of WordNet"
    language: ClassVar[Language] = "en"
    rewrites: ClassVar[bool] = True

    def __init__(
        self, *, table: str = "english_synonyms", each: Annotated[int, Field(ge=1)] = 6
    ) -> None:
        self.each = each
        self.phrases = Phrases(confusions.load(table), 1.0)

    def edits(self, text: str, random: Random) -> list[Edit]:
        """See `Transformation.edits`."""
        del random
        return [
            Edit(*match.span(), _with_case(match[0], other))
            for match in self.phrases.pattern.finditer(text)
            for other in self.phrases.table[match[0].lower()][: self.each]
        ]


def _with_case(term: str, other: str) -> str:
    """The word with a capital where the term has one."""
    return other[0].upper() + other[1:] if term[0].isupper() and other[0].islower() else other

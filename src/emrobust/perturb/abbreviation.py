"""Abbreviation: 血压→BP, 2天→2d, 体温38.5℃→T 38.5, as hurried doctors write, and back."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import ClassVar, Literal

from emrobust.lexicon import Register
from emrobust.lexicon.table import Type, Use
from emrobust.perturb import terms
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps, Language, Perturbation
from emrobust.registry import register

_WAYS: dict[str, dict[Register, Register]] = {
    "abbreviate": {"formal": "abbreviated"},
    "expand": {"abbreviated": "formal"},
    "both": {"formal": "abbreviated", "abbreviated": "formal"},
}


@register("perturbation")
class Abbreviation(Perturbation):
    """Abbreviations of terms and of measures; numbers stay as they are written.

    An abbreviation with two meanings (LDH) is neither written nor expanded.

    Args:
        rate: share of the terms and measures found that are replaced.
        direction: abbreviate, expand or both.
        types: semantic types of the terms.
        use: pairs of the training partition, of the one held out for robustness suites, or all.
        lexicon: a folder with tables as lexicon/tables/README.md describes them; a table that it
            has not is the shipped one.
    """

    source: ClassVar[str] = "Chinese outpatient notes; lexicon/tables, written for this project"
    language: ClassVar[Language] = "zh"
    rewrites: ClassVar[bool] = True
    shares: ClassVar[bool] = True  # the measures

    def __init__(
        self,
        *,
        rate: float = 0.3,
        direction: Literal["abbreviate", "expand", "both"] = "both",
        types: tuple[Type, ...] = (
            "symptom",
            "sign",
            "vital",
            "disease",
            "test",
            "procedure",
            "time",
            "wording",
        ),
        use: Use = "train",
        lexicon: Path | None = None,
    ) -> None:
        self.gaps = Gaps(rate)
        known, ways = terms.load(lexicon), _WAYS[direction]
        self.swaps = terms.join(known.swaps(types, *way, use) for way in ways.items())
        self.table = terms.Table(self.swaps, known, ways, lexicon)

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        return terms.replace(text, self.table, self.gaps, random)

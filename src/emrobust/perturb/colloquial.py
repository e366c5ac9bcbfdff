"""Colloquial: formal terms as patients say them (发热→发烧, 腹痛→肚子疼), and back."""

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
    "colloquial": {"formal": "colloquial"},
    "formal": {"colloquial": "formal"},
    "both": {"formal": "colloquial", "colloquial": "formal"},
}


@register("perturbation")
class Colloquial(Perturbation):
    """Another register, term by term; 2小时 becomes 2个钟头.

    Args:
        rate: share of the terms found that are replaced.
        direction: the register to write, or both.
        types: semantic types of the terms.
        use: pairs of the training partition, of the one held out for robustness suites, or all.
        lexicon: a folder with tables as lexicon/tables/README.md describes them; a table that it
            has not is the shipped one.
    """

    source: ClassVar[str] = "patients' speech; lexicon/tables, written for this project"
    language: ClassVar[Language] = "zh"
    rewrites: ClassVar[bool] = True

    def __init__(
        self,
        *,
        rate: float = 0.3,
        direction: Literal["colloquial", "formal", "both"] = "both",
        types: tuple[Type, ...] = ("symptom", "sign", "disease", "test", "procedure", "wording"),
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

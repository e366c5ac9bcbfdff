"""Term: a term or measure in another register or by a synonym, from the reviewed lexicon."""

from __future__ import annotations

from random import Random
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from emrobust import lexicon
from emrobust.attack.transformation import Transformation
from emrobust.errors import ConfigError
from emrobust.lexicon import Register
from emrobust.lexicon.table import Type, Use
from emrobust.perturb import Edit, terms
from emrobust.perturb.perturbation import Gaps, Language
from emrobust.registry import register

_WAYS: dict[str, tuple[tuple[Register, Register], ...]] = {
    "abbreviation": (("formal", "abbreviated"), ("abbreviated", "formal")),
    "colloquial": (("formal", "colloquial"), ("colloquial", "formal")),
    "synonym": (("formal", "formal"),),
}


@register("transformation")
class Term(Transformation):
    """Wordings that mean the same: 血压→BP, 腹痛→肚子疼, 腹痛→腹部疼痛.

    Args:
        way: to and from abbreviations, to and from patients' words, or synonyms.
        use: ``test``: pairs that training's augmentation never sees; ``train`` or ``all``.
        each: words for one term.
        types: semantic types of the terms; drugs are left out unless named.
        measures: whether numbers with units are written in the other register too (2天→2d).
    """

    source: ClassVar[str] = "PWWS, Ren et al. 2019, with the lexicon's held-out pairs"
    language: ClassVar[Language] = "zh"
    rewrites: ClassVar[bool] = True

    def __init__(
        self,
        *,
        way: Literal["abbreviation", "colloquial", "synonym"] = "synonym",
        use: Use = "test",
        each: Annotated[int, Field(ge=1)] = 6,
        types: tuple[Type, ...] = (
            "symptom", "sign", "vital", "disease", "test", "procedure", "time", "wording"
        ),
        measures: bool = False,
    ) -> None:  # fmt: skip
        self.each = each
        self.ways = dict(_WAYS[way]) if measures else {}
        self.held_out = use == "test" and not measures
        known = lexicon.load()
        swaps = terms.join(known.swaps(types, *of, use) for of in _WAYS[way])
        if not swaps:
            raise ConfigError(
                f"the lexicon has no pair of the partition {use!r} for {way}: the table is empty",
                "Name more `types`, or set use = all.",
            )
        self.table = terms.Table(swaps)

    def edits(self, text: str, random: Random) -> list[Edit]:
        """See `Transformation.edits`."""
        found = self.table.places(text)
        if self.ways:
            found += terms.measures(text, self.ways)
        each: list[terms.Place] = [
            (start, end, (other,)) for start, end, others in found for other in others[: self.each]
        ]
        return terms.replace(text, each, Gaps(1.0), random)

"""Perturbation: whatever a perturbation of augmentation may write, at every place."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Annotated, Any, ClassVar

from pydantic import Field

from emrobust import registry
from emrobust.attack.transformation import Transformation
from emrobust.errors import ConfigError
from emrobust.perturb import Edit
from emrobust.perturb.perturbation import Language
from emrobust.registry import register


@register("transformation")
class Perturbation(Transformation):
    """A registered perturbation at its full rate, drawn several times.

    Args:
        of: its name (`emrobust list perturbations`).
        draws: of every place; what is drawn twice counts once.
        settings: of the perturbation besides its rate, such as ``use = "test"`` for pairs that
            training's augmentation never writes (measures have no such part).
    """

    source: ClassVar[str] = "the perturbation's own"
    language: ClassVar[Language] = "both"

    def __init__(
        self,
        *,
        of: str,
        draws: Annotated[int, Field(ge=1)] = 6,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        given = {"rate": 1.0, **(settings or {})}
        self.draws = draws
        self.made = registry.get("perturbation", of)(**registry.settings("perturbation", of, given))
        self.rewrites = self.made.rewrites
        self.held_out = given.get("use") == "test" and not self.made.shares
        if not getattr(self.made, "swaps", True):
            raise ConfigError(
                f"the lexicon has no pair for {of} with these settings: the table is empty",
                "Name more `types`, or set use = all.",
            )

    def edits(self, text: str, random: Random) -> list[Edit]:
        """See `Transformation.edits`."""
        found = (edit for _ in range(self.draws) for edit in self.made.propose(text, random))
        return list(dict.fromkeys(found))

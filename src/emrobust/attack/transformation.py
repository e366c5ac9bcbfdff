"""Which edits an attack may choose from: all of them, not a sample as an augmentation draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random
from typing import ClassVar

from emrobust.perturb import Edit
from emrobust.perturb.perturbation import Language


class Transformation(ABC):
    """A component is one file with ``@register("transformation")``; its settings are keyword-only.

    It uses the tables of `emrobust.perturb` and `emrobust.lexicon`.

    Attributes:
        source: the paper or the practice it comes from, one line.
        language: the language of the texts it is made for.
        rewrites: whether its edits may put a guarded fact into an equivalent writing; where False,
            those that touch one are left out before anything is tried.
        held_out: whether training's augmentation never writes what this one does, so that what
            it measures is no memory.
    """

    source: ClassVar[str]
    language: ClassVar[Language]
    rewrites: bool = False
    held_out: bool = False

    @abstractmethod
    def edits(self, text: str, random: Random) -> list[Edit]:
        """Edits of ``text``, the likeliest of each place first; the guards have not seen them."""

"""Width: figures, letters and marks in full width, or Chinese marks in half width."""

from __future__ import annotations

import re
from random import Random
from typing import ClassVar

from emrobust.perturb import noise
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps, Language, Perturbation
from emrobust.registry import register

_SHIFT = ord("Ａ") - ord("A")
_RUN = re.compile(r"[0-9A-Za-z.%/]+|[，。；：！（），]")


@register("perturbation")
class Width(Perturbation):
    """Runs of figures and letters widened, marks narrowed; they mean the same.

    Args:
        rate: share of the runs and marks that are proposed.
    """

    source: ClassVar[str] = "Chinese input methods; Unicode's halfwidth and fullwidth forms"
    language: ClassVar[Language] = "zh"
    rewrites: ClassVar[bool] = True

    def __init__(self, *, rate: float = 0.15) -> None:
        marks = noise.load().punctuation
        self.gaps = Gaps(rate)
        self.forms = str.maketrans(marks.full, marks.half)
        wide = {chr(c): chr(c + _SHIFT) for c in range(ord("!"), ord("~") + 1)}
        self.wide = str.maketrans(wide)

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        runs = list(_RUN.finditer(text))
        return [
            Edit(*runs[which].span(), self._turn(runs[which][0]))
            for which in self.gaps.pick(len(runs), random)
        ]

    def _turn(self, run: str) -> str:
        return run.translate(self.wide if run.isascii() else self.forms)

"""FreeLB++: FreeLB with more ascents and no bound."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from emrobust.registry import register
from emrobust.train.adversaries.adversary import (
    WARMUP_STEPS,
    Adversary,
    Alpha,
    Bound,
    Epsilon,
    Magnitude,
    Warmup,
)
from emrobust.train.adversaries.freelb import climb
from emrobust.train.adversaries.passes import Passes


@register("adversary")
class FreeLBPlusPlus(Adversary):
    """As FreeLB, without the ball: δ goes as far as K ascents take it.

    Args:
        steps: K, at least 5.
        step_size: L2 length of an ascent, for each text.
        magnitude: δ₀ is uniform within ± magnitude/√(tokens · width).
        alpha: weight of the adversarial passes; below 1 a clean pass is added.
        warmup_steps: steps of the run that stay clean.
    """

    source: ClassVar[str] = "Li et al. 2021 (2108.12777)"

    def __init__(
        self,
        *,
        steps: Annotated[int, Field(ge=5, le=50)] = 10,
        step_size: Epsilon = 0.03,
        magnitude: Magnitude = 0.05,
        alpha: Alpha = 1.0,
        warmup_steps: Warmup = WARMUP_STEPS,
    ) -> None:
        super().__init__(warmup_steps)
        self.steps = steps
        self.step_size = step_size
        self.magnitude = magnitude
        self.alpha = alpha

    @property
    def bound(self) -> Bound:
        """The way that K ascents can go."""
        return Bound("l2", self.magnitude + self.steps * self.step_size)

    def attack(self, passes: Passes) -> torch.Tensor:
        """K training passes along the ascent."""
        return climb(
            passes,
            steps=self.steps,
            step_size=self.step_size,
            magnitude=self.magnitude,
            radius=math.inf,
            alpha=self.alpha,
        )

"""Random noise, the control: as large as an adversary's perturbation, in no chosen direction."""

from __future__ import annotations

from typing import ClassVar

import torch

from emrobust.registry import register
from emrobust.train.adversaries import geometry
from emrobust.train.adversaries.adversary import (
    WARMUP_STEPS,
    Adversary,
    Alpha,
    Bound,
    Epsilon,
    Warmup,
    combine,
)
from emrobust.train.adversaries.passes import Passes


@register("adversary")
class RandomNoise(Adversary):
    """δ is uniform on the sphere of radius ε; the clean and the noisy pass count.

    What an adversary gains beyond this is due to its ascent. About twice the time of plain
    training.

    Args:
        epsilon: L2 norm of δ, for each text.
        alpha: weight of the noisy pass, 1 − α that of the clean one.
        warmup_steps: steps of the run that stay clean.
    """

    source: ClassVar[str] = "control; compare Aghajanyan et al. 2021 (2008.03156)"

    def __init__(
        self,
        *,
        epsilon: Epsilon = 0.5,
        alpha: Alpha = 0.5,
        warmup_steps: Warmup = WARMUP_STEPS,
    ) -> None:
        super().__init__(warmup_steps)
        self.epsilon = epsilon
        self.alpha = alpha

    @property
    def bound(self) -> Bound:
        """An L2 ball, on whose surface δ lies."""
        return Bound("l2", self.epsilon)

    def attack(self, passes: Passes) -> torch.Tensor:
        """A clean pass and a noisy one."""
        clean, _ = passes.train(1 - self.alpha)
        random = passes.evaluate.random("adversary")
        drawn = geometry.gaussian(passes.mask, passes.clean.shape[2], random)
        delta = self.epsilon * geometry.directions(drawn)
        noisy, _ = passes.train(self.alpha, delta)
        passes.report(delta, noisy - clean)
        return combine(clean, noisy, self.alpha)

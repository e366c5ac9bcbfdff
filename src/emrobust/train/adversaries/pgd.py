"""PGD: K ascents for δ alone, then one training pass at the point they reach."""

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
    Steps,
    Warmup,
    combine,
)
from emrobust.train.adversaries.passes import Passes


@register("adversary")
class PGD(Adversary):
    """δ climbs K times inside an L2 ball; the clean pass and the last one count.

    The first ascent follows the clean pass's own gradient, the others compute none for the
    parameters. About K + 1 forward passes and half as much more.

    Args:
        steps: K.
        step_size: L2 length of an ascent, for each text; absent: half of epsilon.
        epsilon: L2 radius of the ball, for each text.
        alpha: weight of the adversarial pass, 1 − α that of the clean one.
        warmup_steps: steps of the run that stay clean.
    """

    source: ClassVar[str] = "Madry et al. 2018 (1706.06083)"

    def __init__(
        self,
        *,
        steps: Steps = 3,
        step_size: Epsilon | None = None,
        epsilon: Epsilon = 0.5,
        alpha: Alpha = 0.5,
        warmup_steps: Warmup = WARMUP_STEPS,
    ) -> None:
        super().__init__(warmup_steps)
        self.steps = steps
        self.step_size = epsilon / 2 if step_size is None else step_size
        self.epsilon = epsilon
        self.alpha = alpha

    @property
    def bound(self) -> Bound:
        """An L2 ball."""
        return Bound("l2", self.epsilon)

    def attack(self, passes: Passes) -> torch.Tensor:
        """A clean pass, K − 1 more ascents, a pass at the end of them."""
        clean, gradient = passes.train(1 - self.alpha)
        delta = torch.zeros_like(passes.clean)
        for step in range(self.steps):
            if step:
                _, gradient = passes.ascend(delta)
            delta = delta + self.step_size * geometry.directions(gradient)
            delta = geometry.into_ball(delta * passes.mask[:, :, None], self.epsilon)
        adversarial, _ = passes.train(self.alpha, delta)
        passes.report(delta, adversarial - clean)
        return combine(clean, adversarial, self.alpha)

"""FGM: one step along the normalised gradient of the clean pass, and a second pass there."""

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
class FGM(Adversary):
    """δ = ε·g/‖g‖₂ for each text, g from the clean pass; both passes count.

    About twice the time of plain training.

    Args:
        epsilon: L2 norm of δ, for each text.
        alpha: weight of the adversarial pass, 1 − α that of the clean one.
        warmup_steps: steps of the run that stay clean.
    """

    source: ClassVar[str] = "Miyato et al. 2017 (1605.07725)"

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
        """A clean pass and one at its steepest neighbour."""
        clean, gradient = passes.train(1 - self.alpha)
        delta = self.epsilon * geometry.directions(gradient * passes.mask[:, :, None])
        adversarial, _ = passes.train(self.alpha, delta)
        passes.report(delta, adversarial - clean)
        return combine(clean, adversarial, self.alpha)

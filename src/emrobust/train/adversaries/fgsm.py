"""FGSM: one step along the sign of the clean pass's gradient, and a second pass there."""

from __future__ import annotations

from typing import ClassVar

import torch

from emrobust.registry import register
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
class FGSM(Adversary):
    """δ = ε·sign(g), g from the clean pass; both passes count.

    About twice the time of plain training.

    Args:
        epsilon: what each number of an embedding moves by.
        alpha: weight of the adversarial pass, 1 − α that of the clean one.
        warmup_steps: steps of the run that stay clean.
    """

    source: ClassVar[str] = "Goodfellow et al. 2015 (1412.6572)"

    def __init__(
        self,
        *,
        epsilon: Epsilon = 5e-3,
        alpha: Alpha = 0.5,
        warmup_steps: Warmup = WARMUP_STEPS,
    ) -> None:
        super().__init__(warmup_steps)
        self.epsilon = epsilon
        self.alpha = alpha

    @property
    def bound(self) -> Bound:
        """A box."""
        return Bound("max", self.epsilon)

    def attack(self, passes: Passes) -> torch.Tensor:
        """A clean pass and one at the corner of the box that it points to."""
        clean, gradient = passes.train(1 - self.alpha)
        delta = self.epsilon * gradient.sign() * passes.mask[:, :, None]
        adversarial, _ = passes.train(self.alpha, delta)
        passes.report(delta, adversarial - clean)
        return combine(clean, adversarial, self.alpha)

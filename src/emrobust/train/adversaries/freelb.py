"""FreeLB: K ascents whose parameter gradients all count, in one optimizer step."""

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
    Magnitude,
    Steps,
    Warmup,
    combine,
)
from emrobust.train.adversaries.passes import Passes


@register("adversary")
class FreeLB(Adversary):
    """δ starts at random and climbs along the normalised gradient inside an L2 ball.

    Each of the K passes gives its gradient for δ *and* 1/K of its gradient for the parameters.
    About K times the time of plain training, and nearly its memory: one pass is held at a time.

    Args:
        steps: K.
        step_size: L2 length of an ascent, for each text; absent: half of epsilon.
        magnitude: δ₀ is uniform within ± magnitude/√(tokens · width).
        epsilon: L2 radius of the ball, for each text.
        alpha: weight of the adversarial passes; below 1 a clean pass is added.
        warmup_steps: steps of the run that stay clean.
    """

    source: ClassVar[str] = "Zhu et al. 2020 (1909.11764)"

    def __init__(
        self,
        *,
        steps: Steps = 3,
        step_size: Epsilon | None = None,
        magnitude: Magnitude = 0.02,
        epsilon: Epsilon = 0.1,
        alpha: Alpha = 1.0,
        warmup_steps: Warmup = WARMUP_STEPS,
    ) -> None:
        super().__init__(warmup_steps)
        self.steps = steps
        self.step_size = epsilon / 2 if step_size is None else step_size
        self.magnitude = magnitude
        self.epsilon = epsilon
        self.alpha = alpha

    @property
    def bound(self) -> Bound:
        """An L2 ball."""
        return Bound("l2", self.epsilon)

    def attack(self, passes: Passes) -> torch.Tensor:
        """K training passes along the ascent, after a clean one where α is below 1."""
        return climb(
            passes,
            steps=self.steps,
            step_size=self.step_size,
            magnitude=self.magnitude,
            radius=self.epsilon,
            alpha=self.alpha,
        )


def climb(
    passes: Passes, *, steps: int, step_size: float, magnitude: float, radius: float, alpha: float
) -> torch.Tensor:
    """The algorithm of FreeLB; an infinite radius is FreeLB++."""
    delta = geometry.into_ball(start(passes, magnitude), radius)
    total = torch.zeros((), device=delta.device)
    gradient = first = last = delta
    for step in range(steps):
        if step:
            delta = delta + step_size * geometry.directions(gradient)
            delta = geometry.into_ball(delta * passes.mask[:, :, None], radius)
        last, gradient = passes.train(alpha / steps, delta)
        first = last if step == 0 else first
        total = total + last / steps
    passes.report(delta, last - first)
    if alpha == 1:
        return total
    clean, _ = passes.train(1 - alpha)
    return combine(clean, total, alpha)


def start(passes: Passes, magnitude: float) -> torch.Tensor:
    """δ₀, with an L2 norm of about magnitude/√3 whatever the text's length."""
    if magnitude == 0:
        return torch.zeros_like(passes.clean)
    width = passes.clean.shape[2]
    tokens = passes.mask.sum(1).clamp_min(1)[:, None, None]
    drawn = geometry.uniform(passes.mask, width, passes.evaluate.random("adversary"))
    return drawn * (magnitude / (tokens * width).sqrt())

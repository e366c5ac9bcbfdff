"""FreeLB as the seed writes it, for comparison: K sign steps clipped to ±1e-5, none trains."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field

from emrobust.registry import register
from emrobust.train.adversaries.adversary import (
    Adversary,
    Alpha,
    Bound,
    Epsilon,
    Steps,
    Warmup,
    combine,
)
from emrobust.train.adversaries.passes import Passes, backward


@register("adversary")
class FreeLBAsWritten(Adversary):
    """The seed's 3.4, 4.3 and the first listing of its appendix, word for word.

    It is K-PGD in a box, not FreeLB: the ascents' gradients reach δ only, and one pass at the
    end trains. The adversarial pass is detached from the embedding table. With the seed's numbers
    δ is practically nothing (0.0024 in L2 where FreeLB's is 0.1 to 0.7), and bf16 rounds most of
    that away. The appendix's second listing differs again (random start, L2 steps, accumulated
    gradients) and is nearer to `freelb`.

    Args:
        steps: K.
        step_size: of the sign steps; the text of 3.4 takes ε instead, which the box makes the
            same.
        epsilon: half the side of the box.
        alpha: weight of the adversarial pass, 1 − α that of the clean one. The listing has the
            clean pass commented out, which is α = 1: the table then gets no gradient at all.
        warmup_steps: steps of the run that stay clean; the seed has none.
    """

    source: ClassVar[str] = "the seed, 3.4 and appendix"

    def __init__(
        self,
        *,
        steps: Steps = 5,
        step_size: Annotated[float, Field(gt=0.0, le=1.0)] = 1e-3,
        epsilon: Epsilon = 1e-5,
        alpha: Alpha = 0.5,
        warmup_steps: Warmup = 0,
    ) -> None:
        super().__init__(warmup_steps)
        self.steps = steps
        self.step_size = step_size
        self.epsilon = epsilon
        self.alpha = alpha

    @property
    def bound(self) -> Bound:
        """A box."""
        return Bound("max", self.epsilon)

    def attack(self, passes: Passes) -> torch.Tensor:
        """A clean pass, whose gradient is the first ascent's too, the others, a detached pass."""
        clean, gradient = passes.train(1 - self.alpha)
        delta = torch.zeros_like(passes.clean)
        for step in range(self.steps):
            if step:
                _, gradient = passes.ascend(delta)
            delta = (delta + self.step_size * gradient.sign()).clamp(-self.epsilon, self.epsilon)
            delta = delta * passes.mask[:, :, None]
        adversarial = passes.evaluate(passes.clean + delta)
        backward(self.alpha * adversarial)
        passes.report(delta, adversarial.detach() - clean)
        return combine(clean, adversarial.detach(), self.alpha)

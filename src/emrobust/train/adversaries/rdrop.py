"""R-Drop: two dropout masks of one network must tell the same."""

from __future__ import annotations

from typing import ClassVar

import torch

from emrobust.errors import ConfigError
from emrobust.registry import register
from emrobust.train.adversaries.adversary import WARMUP_STEPS, Adversary, Warmup, Weight
from emrobust.train.adversaries.divergence import symmetric
from emrobust.train.adversaries.passes import Passes, backward


@register("adversary")
class RDrop(Adversary):
    """The mean loss of two passes + λ · half their divergence both ways; no perturbation.

    About 2.1 times the time of plain training; holds two passes in memory.

    Args:
        weight: λ, which the paper calls α.
        warmup_steps: steps of the run that stay clean.
    """

    source: ClassVar[str] = "Liang et al. 2021 (2106.14448)"

    def __init__(self, *, weight: Weight = 0.5, warmup_steps: Warmup = WARMUP_STEPS) -> None:
        super().__init__(warmup_steps)
        self.weight = weight
        self._differed = False

    def attack(self, passes: Passes) -> torch.Tensor:
        """Two passes at the same embeddings, one backward pass through both.

        Raises:
            ConfigError: the network has no dropout, so that there is nothing to compare.
        """
        evaluate, point = passes.evaluate, passes.point()
        first, second = evaluate.logits(point, draw=0), evaluate.logits(point, draw=1)
        difference = symmetric(first, second, exclusive=evaluate.loss.exclusive) / 2
        self._make_sure(difference)
        loss = (evaluate.judge(first) + evaluate.judge(second)) / 2 + self.weight * difference
        backward(loss)
        passes.keep(point)
        evaluate.note("divergence", difference.detach())
        return loss.detach()

    def _make_sure(self, difference: torch.Tensor) -> None:
        if not self._differed and float(difference.detach()) == 0:
            raise ConfigError(
                "R-Drop compares two dropout masks, and this network has no dropout",
                "Set the model's `dropout` above 0, or take another adversary.",
            )
        self._differed = True

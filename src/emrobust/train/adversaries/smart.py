"""SMART: smoothness at the worst point of a box, and no step far from where the weights were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from emrobust.models.network import Network
from emrobust.registry import register
from emrobust.train.adversaries import geometry
from emrobust.train.adversaries.adversary import (
    WARMUP_STEPS,
    Adversary,
    Bound,
    Epsilon,
    Steps,
    Warmup,
    Weight,
)
from emrobust.train.adversaries.divergence import symmetric
from emrobust.train.adversaries.passes import Passes, backward
from emrobust.train.steps import Tensors


@register("adversary")
class SMART(Adversary):
    """Smoothness-inducing Adversarial Regularization and BRegman proximal poinT optimization.

    L + λ·D(p(E), p(E + δ)) + μ·D(p_avg(E), p(E)), D the divergence both ways, δ the worst point
    of an L∞ ball (with the projection that the published code leaves out), p_avg the prediction
    of a running average of the weights. About 2.7 times the time of plain training; holds two
    passes and a second set of weights in memory.

    Args:
        steps: ascents.
        step_size: largest number that an ascent adds to an embedding.
        epsilon: half the side of the box.
        smoothness: λ.
        proximity: μ; 0 leaves the Bregman term out.
        momentum: β of the running average.
        warmup_steps: steps of the run that stay clean.
    """

    source: ClassVar[str] = "Jiang et al. 2020 (1911.03437)"

    def __init__(
        self,
        *,
        steps: Steps = 1,
        step_size: Epsilon = 0.02,
        epsilon: Epsilon = 0.02,
        smoothness: Weight = 1.0,
        proximity: Weight = 1.0,
        momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.99,
        warmup_steps: Warmup = WARMUP_STEPS,
    ) -> None:
        super().__init__(warmup_steps)
        self.steps = steps
        self.step_size = step_size
        self.epsilon = epsilon
        self.weights = smoothness, proximity
        self.momentum = momentum
        self._average: Tensors = {}
        self._followed = -1

    @property
    def bound(self) -> Bound:
        """A box."""
        return Bound("max", self.epsilon)

    def attack(self, passes: Passes) -> torch.Tensor:
        """The average's prediction, a clean pass, ascents, a pass at the end of them."""
        evaluate, exclusive = passes.evaluate, passes.evaluate.loss.exclusive
        before = self._predict_on_average(passes) if self.weights[1] else None
        point = passes.point()
        logits = evaluate.logits(point)
        delta = self._climb(passes, logits.detach())
        worst = passes.point(delta)
        difference = symmetric(logits, evaluate.logits(worst), exclusive=exclusive)
        loss = evaluate.judge(logits) + self.weights[0] * difference
        if before is not None:
            loss = loss + self.weights[1] * symmetric(before, logits, exclusive=exclusive)
        backward(loss)
        passes.keep(point)
        passes.keep(worst)
        passes.report(delta, difference.detach())
        return loss.detach()

    def _climb(self, passes: Passes, told: torch.Tensor) -> torch.Tensor:
        """From a random point of the box, since at the text itself the divergence has no slope."""
        random = passes.evaluate.random("adversary")
        delta = self.epsilon * geometry.uniform(passes.mask, passes.clean.shape[2], random)

        def differ(logits: torch.Tensor) -> torch.Tensor:
            return symmetric(told, logits, exclusive=passes.evaluate.loss.exclusive)

        for _ in range(self.steps):
            _, gradient = passes.ascend(delta, differ)
            delta = delta + self.step_size * geometry.peaks(gradient)
            delta = delta.clamp(-self.epsilon, self.epsilon) * passes.mask[:, :, None]
        return delta

    @torch.no_grad()
    def _predict_on_average(self, passes: Passes) -> torch.Tensor:
        if passes.evaluate.step != self._followed:  # once a step, however many batches it has
            self._follow(passes.network)
            self._followed = passes.evaluate.step
        with exchanged(passes.network, self._average):
            return passes.evaluate.logits()

    def _follow(self, network: Network) -> None:
        """Bring the running average up to the present weights."""
        for name, parameter in network.named_parameters():
            if name in self._average:
                self._average[name].lerp_(parameter.detach(), 1 - self.momentum)
            else:
                self._average[name] = parameter.detach().clone()

    def state(self) -> Tensors:
        """The running average."""
        return self._average

    def load_state(self, state: Tensors) -> None:
        """Go on with it."""
        self._average = dict(state)


@contextmanager
def exchanged(network: Network, weights: Tensors) -> Iterator[None]:
    """Other weights inside; its own, the very same tensors, afterwards."""
    own = {name: parameter.data for name, parameter in network.named_parameters()}
    try:
        for name, parameter in network.named_parameters():
            parameter.data = weights[name]
        yield
    finally:
        for name, parameter in network.named_parameters():
            parameter.data = own[name]

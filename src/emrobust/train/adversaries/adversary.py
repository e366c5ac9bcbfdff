"""What every adversary shares: it begins after some clean steps, and notes what it cost."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field

from emrobust.models.network import Network
from emrobust.train.adversaries.passes import Passes
from emrobust.train.batches import Batch
from emrobust.train.steps import Evaluate, Tensors, clean_step

# Settings that several adversaries have, with their ranges.
Alpha = Annotated[float, Field(gt=0.0, le=1.0)]
Epsilon = Annotated[float, Field(gt=0.0, le=100.0)]
Magnitude = Annotated[float, Field(ge=0.0, le=100.0)]
Steps = Annotated[int, Field(ge=1, le=50)]
Weight = Annotated[float, Field(ge=0.0, le=1000.0)]
Warmup = Annotated[int, Field(ge=0)]

# Early gradients are large and say little: an adversary that follows them gives NaN.
WARMUP_STEPS = 100
# A short training warms up for this part of its steps, so that the adversary has its turn.
_LONGEST_WARMUP = 1 / 3


class Bound(NamedTuple):
    """What δ never exceeds, for each row."""

    norm: Literal["l2", "max"]
    radius: float


class Adversary(ABC):
    """Base of the adversaries; called as a step of the loop.

    A subclass is one file with ``@register("adversary")``; its keyword-only constructor arguments
    are its settings, their ranges stand in the annotations (`emrobust.registry.settings` checks
    them). It gives `attack`.

    Epsilons are absolute. The history's ``perturbation`` says what share of the embeddings' own
    norm they are: a few hundredths for FreeLB's published settings.

    Args:
        warmup_steps: steps of the run that stay clean, at most a third of them.
    """

    source: ClassVar[str] = ""

    def __init__(self, warmup_steps: int) -> None:
        self.warmup_steps = warmup_steps

    def __call__(self, network: Network, batch: Batch, evaluate: Evaluate) -> torch.Tensor:
        """One step: gradients accumulate in the network, the weighted loss is given back."""
        if evaluate.step < min(self.warmup_steps, evaluate.steps * _LONGEST_WARMUP):
            return clean_step(network, batch, evaluate)
        began = time.monotonic()
        passes = Passes(network, evaluate)
        loss = self.attack(passes)
        passes.close()
        evaluate.note("adversary_seconds", time.monotonic() - began)
        return loss

    @abstractmethod
    def attack(self, passes: Passes) -> torch.Tensor:
        """The passes of one step; gives back the loss that was trained on."""

    @property
    def bound(self) -> Bound | None:
        """What δ never exceeds; None where there is no δ."""
        return None

    def state(self) -> Tensors:
        """What it keeps from one step to the next, for checkpoints."""
        return {}

    def load_state(self, state: Tensors) -> None:
        """Go on from what `state` gave."""
        del state


def combine(clean: torch.Tensor, adversarial: torch.Tensor, alpha: float) -> torch.Tensor:
    """L = (1 − α)·L_clean + α·L_adv."""
    return (1 - alpha) * clean + alpha * adversarial

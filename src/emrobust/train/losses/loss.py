"""What every loss shares: the task, the frequencies of the labels, smoothing."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from emrobust.errors import ModelError

Task = Literal["multi", "single"]
Focus = Annotated[float, Field(ge=0.0, le=10.0)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Loss(nn.Module):
    """Base of the losses.

    A subclass is one file with ``@register("loss")``; its keyword-only constructor arguments are
    its settings. Its buffers move to the device with it.

    Args:
        task: ``multi`` or ``single``.
        targets: 0 and 1 [rows, labels] of the training rows; only some losses look at them.
    """

    source: ClassVar[str] = ""
    tasks: ClassVar[tuple[Task, ...]] = ("multi", "single")
    # Whether the network should begin at each label's base rate (`Network.set_prior`).
    begins_at_base_rate: bool = True
    # Why `train.label_smoothing` may not soften its targets; empty where it may.
    refuses_smoothing: ClassVar[str] = ""

    def __init__(self, task: Task, targets: np.ndarray | None = None) -> None:
        del targets
        super().__init__()
        self.exclusive = task == "single"

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss in single precision, a scalar.

        Args:
            logits: of the network [rows, labels].
            targets: from 0 to 1 [rows, labels]; rows sum to 1 for ``single``.
        """
        return self.measure(logits.float(), targets)

    @abstractmethod
    def measure(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The formula."""


class Smoothed(Loss):
    """Any loss on smoothed targets."""

    def __init__(self, loss: Loss, rate: float) -> None:
        super().__init__("single" if loss.exclusive else "multi")
        self.loss = loss
        self.rate = rate
        self.begins_at_base_rate = loss.begins_at_base_rate

    def measure(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss itself, elsewhere."""
        return self.loss.measure(logits, smooth(targets, self.rate, exclusive=self.exclusive))


def smooth(targets: torch.Tensor, rate: float, *, exclusive: bool) -> torch.Tensor:
    """Spread a share of the target evenly: over yes and no of each label, or over all labels.

    Szegedy et al. 2016, section 7.
    """
    return targets * (1 - rate) + rate / (targets.shape[-1] if exclusive else 2)


def frequencies(targets: np.ndarray | None) -> tuple[torch.Tensor, int]:
    """How many training rows have each label, float64 [labels], and how many rows there are.

    A label without any row counts as one that has one, so that no weight is infinite; one that
    every row has, as one that a row lacks.

    Raises:
        ModelError: no targets were given.
    """
    if targets is None or not len(targets):
        raise ModelError(
            "this loss weighs labels by their frequency and there are no training targets",
            "Give them to `losses.make`.",
        )
    rows = len(targets)
    counted = torch.from_numpy(np.asarray(targets, dtype=np.float64).sum(0))
    return counted.clamp(1.0, max(rows - 1.0, 1.0)), rows

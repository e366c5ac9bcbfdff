"""Binary cross-entropy of each label: the maximum likelihood of independent labels."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn import functional

from emrobust.registry import register
from emrobust.train.losses.loss import Loss, Task


@register("loss")
class BinaryCrossEntropy(Loss):
    """−[y log p + (1 − y) log(1 − p)], the mean over rows and labels."""

    source: ClassVar[str] = "the seed, 3.5"
    tasks: ClassVar[tuple[Task, ...]] = ("multi",)

    def measure(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The formula."""
        return functional.binary_cross_entropy_with_logits(logits, targets)

"""Cross-entropy over labels that exclude each other: the maximum likelihood of one class."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn import functional

from emrobust.registry import register
from emrobust.train.losses.loss import Loss, Task


@register("loss")
class CrossEntropy(Loss):
    """−Σ y log softmax(z), the mean over rows."""

    source: ClassVar[str] = "Bridle 1990, softmax"
    tasks: ClassVar[tuple[Task, ...]] = ("single",)

    def measure(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The formula."""
        return functional.cross_entropy(logits, targets)

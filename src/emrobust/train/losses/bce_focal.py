"""Binary cross-entropy plus focal loss, as the seed trains."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch.nn import functional

from emrobust.registry import register
from emrobust.train.losses.focal import focus
from emrobust.train.losses.loss import Focus, Loss, Share, Task

Weight = Annotated[float, Field(ge=0.0, le=100.0)]


@register("loss")
class BinaryCrossEntropyFocal(Loss):
    """λ₁ · BCE + λ₂ · focal loss.

    Args:
        task: ``multi``.
        targets: not looked at.
        bce_weight: λ₁.
        focal_weight: λ₂.
        gamma: of the focal loss.
        balance: α of the focal loss; absent: positives and negatives weigh 1 each (the seed
            names α and does not say what it is).
    """

    source: ClassVar[str] = "the seed, 3.5: 1 : 1, gamma 2"
    tasks: ClassVar[tuple[Task, ...]] = ("multi",)

    def __init__(
        self,
        task: Task,
        targets: np.ndarray | None = None,
        *,
        bce_weight: Weight = 1.0,
        focal_weight: Weight = 1.0,
        gamma: Focus = 2.0,
        balance: Share | None = None,
    ) -> None:
        super().__init__(task, targets)
        self.weights = bce_weight, focal_weight
        self.gamma = gamma
        self.balance = balance

    def measure(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The formula."""
        plain = functional.binary_cross_entropy_with_logits(logits, targets)
        focal = focus(logits, targets, self.gamma, self.balance).mean()
        return self.weights[0] * plain + self.weights[1] * focal

"""Class-balanced loss: labels weigh by the inverse of their effective number of rows."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field

from emrobust.registry import register
from emrobust.train.losses.focal import focus, focus_exclusive
from emrobust.train.losses.loss import Focus, Loss, Task, frequencies


@register("loss")
class ClassBalanced(Loss):
    """Focal loss (γ = 0: cross-entropy), each label k times (1 − β)/(1 − β^n_k).

    The weights are scaled to a mean of 1. For multi-label they multiply each label's term, as
    in Huang et al. 2021 (2109.04712), not the whole row.

    Args:
        task: ``multi`` or ``single``.
        targets: of the training rows; a label without rows weighs like one with a single row.
        beta: 0 weighs all labels alike, towards 1 it is the inverse frequency.
        gamma: of the focal loss.
    """

    source: ClassVar[str] = "Cui et al. 2019 (1901.05555)"
    weights: torch.Tensor

    def __init__(
        self,
        task: Task,
        targets: np.ndarray | None = None,
        *,
        beta: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.999,
        gamma: Focus = 0.0,
    ) -> None:
        super().__init__(task, targets)
        counts, _ = frequencies(targets)
        effective = (1 - beta) / (1 - beta**counts)
        self.register_buffer("weights", (effective / effective.mean()).float(), persistent=False)
        self.gamma = gamma

    def measure(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The formula."""
        if self.exclusive:
            return (self.weights * focus_exclusive(logits, targets, self.gamma)).sum(-1).mean()
        return (self.weights * focus(logits, targets, self.gamma)).mean()

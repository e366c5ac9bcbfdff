"""Logit adjustment: labels compete as if all were equally common."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch.nn import functional

from emrobust.errors import ModelError
from emrobust.registry import register
from emrobust.train.losses.loss import Loss, Task


@register("loss")
class LogitAdjusted(Loss):
    """Cross-entropy of z + τ·log π (single-label), or of z + τ·logit π (multi-label).

    π is a label's share of the training rows, half a row added. At inference the adjustment is
    absent, so the network's probabilities are those of balanced data: thresholds are tuned on
    them, and they are not calibrated to the hospital's own rates.

    Args:
        task: ``multi`` or ``single``.
        targets: of the training rows.
        tau: 0 is cross-entropy, 1 the paper's.
    """

    source: ClassVar[str] = "Menon et al. 2021 (2007.07314)"
    # The adjustment is the base rate already.
    begins_at_base_rate: bool = False
    adjustment: torch.Tensor

    def __init__(
        self,
        task: Task,
        targets: np.ndarray | None = None,
        *,
        tau: Annotated[float, Field(ge=0.0, le=10.0)] = 1.0,
    ) -> None:
        super().__init__(task, targets)
        if targets is None:
            raise ModelError("this loss needs the training targets", "Give them to `losses.make`.")
        counted = torch.from_numpy(np.asarray(targets, dtype=np.float64).sum(0))
        share = (counted + 0.5) / (len(targets) + 1.0)
        prior = share.log() if self.exclusive else share.logit()
        self.register_buffer("adjustment", (tau * prior).float(), persistent=False)

    def measure(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The formula."""
        adjusted = logits + self.adjustment
        if self.exclusive:
            return functional.cross_entropy(adjusted, targets)
        return functional.binary_cross_entropy_with_logits(adjusted, targets)

"""Focal loss: what is already told with confidence counts little."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional

from emrobust.errors import ConfigError
from emrobust.registry import register
from emrobust.train.losses.loss import Focus, Loss, Share, Task

# Below this 1 − p of a softmax is rounding; a power below 1 would have no finite slope there.
_ROUNDING = 1e-7


@register("loss")
class Focal(Loss):
    """−(1 − p)^γ log p where the label is, −p^γ log(1 − p) where it is not.

    Args:
        task: ``multi`` or ``single``.
        targets: not looked at.
        gamma: 0 is cross-entropy.
        balance: α, weight of positives, 1 − α that of negatives; absent: 1 for both. Only
            for multi-label.
    """

    source: ClassVar[str] = "Lin et al. 2017 (1708.02002)"

    def __init__(
        self,
        task: Task,
        targets: np.ndarray | None = None,
        *,
        gamma: Focus = 2.0,
        balance: Share | None = None,
    ) -> None:
        super().__init__(task, targets)
        if self.exclusive and balance is not None:
            raise ConfigError(
                "`balance` weighs positives against negatives, which one class a row has not",
                "Leave it out, or take the loss `class_balanced`.",
            )
        self.gamma = gamma
        self.balance = balance

    def measure(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The formula."""
        if self.exclusive:
            return focus_exclusive(logits, targets, self.gamma).sum(-1).mean()
        return focus(logits, targets, self.gamma, self.balance).mean()


def focus(
    logits: torch.Tensor, targets: torch.Tensor, gamma: float, balance: float | None = None
) -> torch.Tensor:
    """Focal loss of each row and label [rows, labels]."""
    # (1 − p)^γ by logarithms: a power has no slope where p is 1.
    hit = torch.exp(gamma * functional.logsigmoid(-logits)) * functional.softplus(-logits)
    miss = torch.exp(gamma * functional.logsigmoid(logits)) * functional.softplus(logits)
    if balance is not None:
        hit, miss = balance * hit, (1 - balance) * miss
    return targets * hit + (1 - targets) * miss


def focus_exclusive(logits: torch.Tensor, targets: torch.Tensor, gamma: float) -> torch.Tensor:
    """Focal loss of each row and class [rows, labels]; a row's loss is its sum."""
    told = logits.log_softmax(-1)
    return -targets * (1 - told.exp()).clamp_min(_ROUNDING) ** gamma * told

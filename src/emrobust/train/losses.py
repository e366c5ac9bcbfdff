"""What training minimises. A loss takes logits and targets [rows, labels] and gives a scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch.nn import functional

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def make(task: Literal["multi", "single"], smoothing: float = 0.0) -> Loss:
    """The loss of a task.

    Args:
        task: ``multi`` is binary cross-entropy a label, ``single`` cross-entropy over labels.
        smoothing: share of the target spread evenly over a label's outcomes (over all labels
            for ``single``), as in Szegedy et al. 2016, section 7.
    """
    return _binary(smoothing) if task == "multi" else _exclusive(smoothing)


def _binary(smoothing: float) -> Loss:
    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        soft = targets * (1 - smoothing) + smoothing / 2
        return functional.binary_cross_entropy_with_logits(logits.float(), soft)

    return loss


def _exclusive(smoothing: float) -> Loss:
    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits.float(), targets, label_smoothing=smoothing)

    return loss

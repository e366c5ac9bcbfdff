"""Cross-entropy on softened targets, which tempers a model's confidence.

The same as ``label_smoothing`` under ``[train]``, which softens the targets of any loss.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional

from emrobust.registry import register
from emrobust.train.losses.loss import Loss, Share, Task, smooth


@register("loss")
class LabelSmoothing(Loss):
    """Binary cross-entropy (multi-label) or cross-entropy (single-label) on smoothed targets.

    Args:
        task: ``multi`` or ``single``.
        targets: not looked at.
        rate: share of the target that is spread; 0.1 makes 0.95 and 0.05 of 1 and 0.
    """

    source: ClassVar[str] = "Szegedy et al. 2016, section 7 (1512.00567)"
    refuses_smoothing: ClassVar[str] = "the targets would be smoothed twice"

    def __init__(self, task: Task, targets: np.ndarray | None = None, *, rate: Share = 0.1) -> None:
        super().__init__(task, targets)
        self.rate = rate

    def measure(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The formula."""
        soft = smooth(targets, self.rate, exclusive=self.exclusive)
        if self.exclusive:
            return functional.cross_entropy(logits, soft)
        return functional.binary_cross_entropy_with_logits(logits, soft)

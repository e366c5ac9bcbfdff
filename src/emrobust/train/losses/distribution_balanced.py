"""Distribution-balanced loss: for long tails of labels that occur together."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch.nn import functional

from emrobust.registry import register
from emrobust.train.losses.loss import Focus, Loss, Task, frequencies

# A row without any label has no sampling probability; its terms get the largest weight.
_TINY = 1e-12


@register("loss")
class DistributionBalanced(Loss):
    """Re-balanced weights and negative-tolerant logits, with the focal factor.

    Weights undo that a row with a common and a rare label is drawn for both:
    r = (1/n_k) / Σ_{j in row} (1/n_j), smoothed to r̂ = a + σ(b (r − c)). Logits are shifted by
    κ·logit(n_k/N), and negatives fade λ times faster: their term is softplus(λz)/λ.

    The shift belongs to the loss and is absent at inference: thresholds and calibration are
    tuned on the network's own logits.

    Args:
        task: ``multi``.
        targets: of the training rows; a label without rows counts as one with a single row.
        gamma: of the focal factor; 0 leaves it out.
        shift: κ.
        tolerance: λ.
        floor: a, the least weight.
        slope: b.
        middle: c. The defaults are those of Huang et al. 2021 (2109.04712) for texts.
    """

    source: ClassVar[str] = "Wu et al. 2020 (2007.09654)"
    refuses_smoothing: ClassVar[str] = (
        "it weighs a row by the labels that the row has, and smoothed targets have all of them"
    )
    tasks: ClassVar[tuple[Task, ...]] = ("multi",)
    rarity: torch.Tensor
    bias: torch.Tensor

    def __init__(
        self,
        task: Task,
        targets: np.ndarray | None = None,
        *,
        gamma: Focus = 2.0,
        shift: Annotated[float, Field(ge=0.0, le=10.0)] = 0.05,
        tolerance: Annotated[float, Field(gt=0.0, le=100.0)] = 2.0,
        floor: Annotated[float, Field(ge=0.0, le=10.0)] = 0.1,
        slope: Annotated[float, Field(gt=0.0, le=1000.0)] = 10.0,
        middle: Annotated[float, Field(ge=0.0, le=10.0)] = 0.9,
    ) -> None:
        super().__init__(task, targets)
        counts, rows = frequencies(targets)
        share = counts / max(rows, 2)  # a single row would be certain of its labels
        self.register_buffer("rarity", (1 / counts).float(), persistent=False)
        self.register_buffer("bias", (shift * share.logit()).float(), persistent=False)
        self.gamma = gamma
        self.tolerance = tolerance
        self.smoothing = floor, slope, middle

    def measure(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The formula."""
        shifted = logits + self.bias
        scaled = shifted * self.tolerance
        hit = torch.exp(self.gamma * functional.logsigmoid(-shifted)) * functional.softplus(
            -shifted
        )
        miss = torch.exp(self.gamma * functional.logsigmoid(scaled)) * functional.softplus(scaled)
        terms = targets * hit + (1 - targets) * miss / self.tolerance
        return (self.weigh(targets) * terms).mean()

    def weigh(self, targets: torch.Tensor) -> torch.Tensor:
        """r̂ of each row and label [rows, labels]."""
        floor, slope, middle = self.smoothing
        drawn = (targets * self.rarity).sum(-1, keepdim=True).clamp_min(_TINY)
        return floor + torch.sigmoid(slope * (self.rarity / drawn - middle))

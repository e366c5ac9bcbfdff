"""Asymmetric loss: easy negatives fade faster than positives, the easiest count for nothing."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch.nn import functional

from emrobust.registry import register
from emrobust.train.losses.loss import Focus, Loss, Task

# Keeps a power below 1 from having an infinite slope at 0, and a logarithm finite.
_TINY = 1e-8


@register("loss")
class Asymmetric(Loss):
    """−(1 − p)^γ₊ log p where the label is; −q^γ₋ log(1 − q), q = max(p − m, 0), where not.

    Args:
        task: ``multi``.
        targets: not looked at.
        gamma_positive: γ₊.
        gamma_negative: γ₋.
        margin: m, the probability below which a negative counts for nothing.
        reduction: over labels. The paper sums, and its learning rates hold for sums: with
            AdamW that hardly matters, with gradient clipping (`train.clip_norm`) it does. Over
            rows it is the mean always, so that the batch size does not matter.
    """

    source: ClassVar[str] = "Ridnik et al. 2021 (2009.14119)"
    tasks: ClassVar[tuple[Task, ...]] = ("multi",)

    def __init__(
        self,
        task: Task,
        targets: np.ndarray | None = None,
        *,
        gamma_positive: Focus = 1.0,
        gamma_negative: Focus = 4.0,
        margin: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05,
        reduction: Literal["sum", "mean"] = "sum",
    ) -> None:
        super().__init__(task, targets)
        self.gammas = gamma_positive, gamma_negative
        self.margin = margin
        self.reduction = reduction

    def measure(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The formula."""
        positive, negative = self.gammas
        fading = torch.exp(positive * functional.logsigmoid(-logits))
        hit = fading * functional.softplus(-logits)
        shifted = (logits.sigmoid() - self.margin).clamp_min(_TINY)
        miss = -(shifted**negative) * torch.log((1 - shifted).clamp_min(_TINY))
        terms = targets * hit + (1 - targets) * miss
        of_rows = terms.sum(-1) if self.reduction == "sum" else terms.mean(-1)
        return of_rows.mean()

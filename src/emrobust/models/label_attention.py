"""Label attention: each label reads the tokens with weights of its own.

After CAML (Mullenbach et al. 2018, "Explainable Prediction of Medical Codes from Clinical Text",
equations 2 and 3): a few words speak for a diagnosis, and a mean over a whole note dilutes them.
"""

from __future__ import annotations

import torch
from torch import nn


class LabelAttention(nn.Module):
    """Logits from the states of single tokens.

    The score of label l is Σₜ aₗₜ vₗ·hₜ with aₗ = softmaxₜ(uₗ·hₜ). vₗ is applied before the sum
    instead of after it, which is the same and keeps no [rows, labels, hidden] tensor.

    Args:
        hidden: width of the states.
        outputs: number of labels.
    """

    def __init__(self, hidden: int, outputs: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden, outputs, bias=False)
        self.value = nn.Linear(hidden, outputs, bias=False)
        nn.init.normal_(self.query.weight, std=0.02)
        nn.init.normal_(self.value.weight, std=0.02)

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Scores [rows, outputs].

        Args:
            states: of the tokens [rows, tokens, hidden].
            mask: true where there is a token, false on padding [rows, tokens].
        """
        # In fp32: a sum over tokens in bf16 loses what a single one says.
        looks = self.query(states).float().masked_fill(~mask[:, :, None], -torch.inf).softmax(1)
        scores: torch.Tensor = (looks * self.value(states)).sum(1)
        return scores.to(states.dtype)

"""How far two predictions are from each other.

With several labels a row each label is a coin of its own (a softmax over them would be none of
the model's probabilities): the divergence is the mean over labels, as in the loss.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def divergence(first: torch.Tensor, second: torch.Tensor, *, exclusive: bool) -> torch.Tensor:
    """Kullback-Leibler divergence of ``second`` from ``first``, the mean over rows, a scalar.

    Args:
        first: logits [rows, labels] of the distribution that the mean is taken over.
        second: logits [rows, labels].
        exclusive: one label a row.
    """
    if exclusive:
        told = first.log_softmax(-1)
        return (told.exp() * (told - second.log_softmax(-1))).sum(-1).mean()
    chance = first.sigmoid()
    yes = functional.logsigmoid(first) - functional.logsigmoid(second)
    no = functional.logsigmoid(-first) - functional.logsigmoid(-second)
    return (chance * yes + (1 - chance) * no).mean()


def symmetric(first: torch.Tensor, second: torch.Tensor, *, exclusive: bool) -> torch.Tensor:
    """The sum of the divergences both ways."""
    one = divergence(first, second, exclusive=exclusive)
    return one + divergence(second, first, exclusive=exclusive)

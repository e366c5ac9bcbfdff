"""Dropout whose masks are a pure function of a seed, and cheap on a CPU.

PyTorch draws CPU masks one number at a time from one Mersenne twister, which is a fifth of a
training step of a small encoder in bf16. Here 16 random bits an element come from SFC64 by the
block: about a tenth of the time. The rate is rounded to a multiple of 2⁻¹⁶.

Because the masks follow from the seed alone, a step repeated after a crash draws the same ones,
and an adversary that passes the network K times can hold them fixed by seeding K times.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

_LEVELS = 1 << 16


class MaskSource:
    """Where all dropout layers of one network take their masks from."""

    def __init__(self) -> None:
        self._bits = np.random.SFC64(0)

    def seed(self, seed: int) -> None:
        """Begin the stream of ``seed`` anew."""
        self._bits = np.random.SFC64(seed)

    def drop(self, values: torch.Tensor, rate: float) -> torch.Tensor:
        """Zero elements with this probability and scale the others up, as in training."""
        if values.device.type != "cpu":
            return nn.functional.dropout(values, rate)
        limit = round(rate * _LEVELS)
        if limit == 0:
            return values
        words = self._bits.random_raw(-(-values.numel() // 4))
        kept = words.view(np.uint16)[: values.numel()] >= limit
        mask = torch.from_numpy(kept.reshape(values.shape))
        return values * mask * (_LEVELS / (_LEVELS - limit))


class Dropout(nn.Module):
    """`nn.Dropout` with masks from a `MaskSource`."""

    def __init__(self, rate: float, source: MaskSource) -> None:
        super().__init__()
        self.p = rate
        self.source = source

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The values themselves in evaluation."""
        return self.source.drop(values, self.p) if self.training else values


def replace_dropout(module: nn.Module, source: MaskSource) -> None:
    """Let every `nn.Dropout` inside ``module`` take its masks from ``source``."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Dropout):
            setattr(module, name, Dropout(child.p, source))
        else:
            replace_dropout(child, source)

"""Dropout whose masks are a pure function of a seed, and cheap on a CPU.

PyTorch draws CPU masks one number at a time from one Mersenne twister, which is a fifth of a
training step of a small encoder in bf16. Here 16 random bits an element come from SFC64 by the
block: about a tenth of the time. The rate is rounded to a multiple of 2⁻¹⁶.

Because the masks follow from the seed alone, a step repeated after a crash draws the same ones,
and an adversary that passes the network K times can hold them fixed by seeding K times; they are
then drawn once and kept until another seed is set.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

_LEVELS = 1 << 16


class Part(NamedTuple):
    """Some rows of a batch: they get the masks that they have in the whole."""

    rows: torch.Tensor
    of: int


class _Drawn(NamedTuple):
    """A mask of 0 and 1, and what it was drawn for."""

    kind: tuple[object, ...]
    mask: torch.Tensor


class MaskSource:
    """Where all dropout layers of one network take their masks from."""

    def __init__(self) -> None:
        self._seed = 0
        self._bits = np.random.SFC64(0)
        self._drawn: list[_Drawn] = []
        self._place = 0
        self._part: Part | None = None

    def seed(self, seed: int, part: Part | None = None) -> None:
        """Begin the stream of ``seed`` anew, for a whole batch or a part of it."""
        self._part = part
        if seed != self._seed:
            self._seed, self._bits = seed, np.random.SFC64(seed)
            self._drawn.clear()
        self._place = 0

    def drop(self, values: torch.Tensor, rate: float) -> torch.Tensor:
        """Zero elements with this probability and scale the others up, as in training."""
        part = self._part
        if part is not None and len(values) != len(part.rows):
            part = None  # a layer that packs its rows: there is no mask to choose from
        shape = values.shape if part is None else (part.of, *values.shape[1:])
        if values.device.type != "cpu":
            if part is None:
                return nn.functional.dropout(values, rate)
            return values * nn.functional.dropout(values.new_ones(shape), rate)[part.rows]
        limit = round(rate * _LEVELS)
        if limit == 0:
            return values
        mask = self._mask(torch.Size(shape), values.dtype, limit)
        kept = values * (mask if part is None else mask[part.rows])
        return kept.mul_(_LEVELS / (_LEVELS - limit))

    def _mask(self, shape: torch.Size, dtype: torch.dtype, limit: int) -> torch.Tensor:
        """The stream's next mask, in the values' own type: each product would convert it."""
        # A mask that was made in inference mode cannot be used where gradients are wanted.
        kind = (shape, dtype, limit, torch.is_inference_mode_enabled())
        place, self._place = self._place, self._place + 1
        if place < len(self._drawn):
            if self._drawn[place].kind == kind:
                return self._drawn[place].mask
            self._forget(place)
        kept = self._draw(shape.numel()) >= limit
        mask = torch.from_numpy(kept.reshape(shape)).to(dtype)
        self._drawn.append(_Drawn(kind, mask))
        return mask

    def _forget(self, place: int) -> None:
        """Go back in the stream to this mask: another one is wanted from here."""
        del self._drawn[place:]
        self._bits = np.random.SFC64(self._seed)
        for drawn in self._drawn:
            self._draw(drawn.mask.numel())

    def _draw(self, count: int) -> np.ndarray:
        words = self._bits.random_raw(-(-count // 4))
        return words.view(np.uint16)[:count]


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

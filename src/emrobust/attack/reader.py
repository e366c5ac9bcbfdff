"""Quick passes of a network over many texts: bf16 where the processor has it, tight batches.

A batch holds texts of one padded width only. Then a text's answer does not depend on which
others are asked with it, up to the last bit of float32 (measured on a processor with AVX512-bf16:
at most 6e-8 between 1 and 96 rows; batches of mixed widths differ by 1e-3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Self

import numpy as np
import torch

from emrobust.encoder import embedded
from emrobust.models.network import Network
from emrobust.models.transformer import Pooling, Transformer
from emrobust.train import batches, loop

# Tokens of a batch, padding included: more is no quicker, and leaves the processor's cache.
BATCH_TOKENS = 4096


class Reader:
    """A network that only answers.

    Args:
        network: as `Network.encode` and its call need it.
        max_length: tokens that it reads of a text.
    """

    def __init__(self, network: Network, max_length: int) -> None:
        self.network = network.eval()
        self.max_length = max_length
        self.device = next(network.parameters()).device
        self._bf16 = loop.uses_bf16("auto", self.device)

    @classmethod
    def of_checkpoint(cls, name: str, pooling: Pooling) -> Self:
        """An encoder as it was pretrained.

        Raises:
            ModelError: it cannot be found, reached or read.
        """
        settings = {
            "checkpoint": name or embedded.NAME,
            "pooling": pooling,
            "layers": 1,
            "label_attention": False,
            "dropout": 0.0,
        }
        return cls(Transformer.new([], 1, settings), max_length=512)

    def logits(self, groups: Sequence[Sequence[str]]) -> np.ndarray:
        """Float32 [texts of all groups, outputs]."""
        return self._pass([text for group in groups for text in group], self.network)

    def features(self, texts: Sequence[str]) -> np.ndarray:
        """Pooled states of an encoder, float32 [texts, width]."""
        network = self.network
        if not isinstance(network, Transformer):
            raise TypeError("only an encoder has pooled states")
        return self._pass(texts, lambda ids, mask: network.features(network.embed(ids), mask))

    def _pass(
        self, texts: Sequence[str], call: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    ) -> np.ndarray:
        tokens = batches.pack(self.network.encode(texts, self.max_length))
        answers: np.ndarray | None = None
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16),
        ):
            for rows in _of_one_width(tokens.lengths):
                ids, mask = batches.pad(tokens, rows, self.network.pad)
                given = call(ids.to(self.device), mask.to(self.device)).float().cpu().numpy()
                if answers is None:
                    answers = np.empty((len(texts), given.shape[1]), dtype=np.float32)
                answers[rows] = given
        return np.empty((0, 0), dtype=np.float32) if answers is None else answers


def _of_one_width(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Rows by padded width, cut into batches; a longer text goes alone."""
    widths = np.maximum(-(-lengths // batches.STRIDE) * batches.STRIDE, batches.STRIDE)
    order = np.argsort(widths, kind="stable")
    cuts = np.flatnonzero(np.diff(widths[order])) + 1
    for rows in np.split(order, cuts) if len(order) else ():
        size = max(BATCH_TOKENS // int(widths[rows[0]]), 1)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

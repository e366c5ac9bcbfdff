"""MixUp at the embedding layer: lines between texts, and between their targets.

Zhang et al. 2018 (1710.09412); at the word embeddings as in Guo et al. 2019 (1905.08941) and in
the seed, 3.3.2. Each text gets a partner from its own batch and a share λ ~ Beta(α, α) of its own.

`MixUp` is a step around another one, so that it goes with any adversary: the inner step asks the
same `Evaluate`, whose embeddings, mask and targets are the mixed ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from emrobust import rng
from emrobust.errors import ConfigError
from emrobust.models.network import Network
from emrobust.train.batches import Batch, send
from emrobust.train.steps import Evaluate, Remembering, Step, Tensors

ALPHA = 0.4


class Pairs(NamedTuple):
    """Who is mixed with whom, and how much of a text stays its own.

    Attributes:
        partners: a row number for each row, int64 [rows].
        shares: λ, float32 [rows].
    """

    partners: torch.Tensor
    shares: torch.Tensor


def pair(rows: int, random: np.random.Generator, alpha: float = ALPHA) -> Pairs:
    """Partners in a circle of random order, so that no text is its own in a batch of two or more.

    A single text is its own partner and so stays as it is.

    Raises:
        ConfigError: alpha is not above 0.
    """
    if not alpha > 0:
        raise ConfigError(f"MixUp's alpha is {alpha}, it must be above 0", "The seed takes 0.4.")
    order = random.permutation(rows)
    partners = np.empty(rows, dtype=np.int64)
    partners[order] = np.roll(order, 1)
    shares = random.beta(alpha, alpha, rows).astype(np.float32)
    return Pairs(torch.from_numpy(partners), torch.from_numpy(shares))


def mix_batch(batch: Batch, pairs: Pairs) -> Batch:
    """Mask and targets of the mixed texts; a mixed text is as long as the longer one."""
    partners, shares = _on(batch.ids.device, pairs)
    own = shares[:, None]
    targets = own * batch.targets + (1 - own) * batch.targets[partners]
    return Batch(batch.ids, batch.mask | batch.mask[partners], targets)


def mix_embeddings(embeddings: torch.Tensor, mask: torch.Tensor, pairs: Pairs) -> torch.Tensor:
    """Mixed embeddings; where one text has ended it counts as zeros, whatever padding's vector is.

    Args:
        embeddings: of the batch [rows, tokens, width].
        mask: true where there is a token, before mixing [rows, tokens].
        pairs: from `pair`.
    """
    partners, shares = _on(embeddings.device, pairs)
    tokens = embeddings * mask[:, :, None]
    own = shares[:, None, None]
    return own * tokens + (1 - own) * tokens[partners]


def _on(device: torch.device, pairs: Pairs) -> Pairs:
    return Pairs(send(pairs.partners, device), send(pairs.shares, device))


class MixUp:
    """A step that mixes some batches, then lets another step train on them.

    Args:
        inner: an adversary, or `steps.clean_step`.
        chooses: whether the batch of this number is mixed; a pure function, so that a
            training goes on as if it had not been killed.
        alpha: of the Beta distribution.
    """

    def __init__(
        self, inner: Step, *, chooses: Callable[[int], bool] = lambda _: True, alpha: float = ALPHA
    ) -> None:
        self.inner = inner
        self.chooses = chooses
        self.alpha = alpha

    def __call__(self, network: Network, batch: Batch, evaluate: Evaluate) -> torch.Tensor:
        """One step of the inner one, on the batch or on its mixture."""
        mixed = self.chooses(evaluate.number)
        evaluate.note("mixed", float(mixed))
        if not mixed:
            return self.inner(network, batch, evaluate)
        random = rng.generator(evaluate.seed, "mixup", evaluate.number)
        pairs = pair(len(batch.ids), random, self.alpha)

        def look_up() -> torch.Tensor:
            return mix_embeddings(network.embed(batch.ids), batch.mask, pairs)

        given = mix_batch(batch, pairs)
        return self.inner(network, given, replace(evaluate, batch=given, lookup=look_up))

    def state(self) -> Tensors:
        """Of the inner step."""
        return self.inner.state() if isinstance(self.inner, Remembering) else {}

    def load_state(self, state: Tensors) -> None:
        """Of the inner step."""
        if isinstance(self.inner, Remembering):
            self.inner.load_state(state)

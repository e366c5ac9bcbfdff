"""What a step of training may ask of its batch, and what it may leave behind.

The loop calls ``step(network, batch, evaluate)``; `clean_step` is the plain one. An adversary, and
MixUp around it, are steps too: they ask `Evaluate` for losses and logits of perturbed or mixed
embeddings, let gradients accumulate in the network, and give back the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import torch

from emrobust import rng
from emrobust.models.dropout import Part
from emrobust.models.network import Network
from emrobust.train.batches import Batch
from emrobust.train.losses import Loss

Tensors = dict[str, torch.Tensor]


class Notes:
    """Means over an epoch of what steps report; sums stay on the device until they are asked for.

    What is not a number is left out: its step is skipped too.
    """

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}

    def add(self, name: str, value: torch.Tensor | float) -> None:
        """Count one more value."""
        given = torch.as_tensor(value, dtype=torch.float64).detach()
        good = given.isfinite()
        pair = torch.stack([given.where(good, 0.0), good.double()])
        before = self._sums.get(name)
        self._sums[name] = pair if before is None else before + pair.to(before.device)

    def means(self) -> dict[str, float]:
        """The mean of each name's values."""
        return {name: total / max(count, 1.0) for name, (total, count) in self.dump().items()}

    def dump(self) -> dict[str, list[float]]:
        """Sum and count of each name, as JSON can hold them."""
        return {name: pair.tolist() for name, pair in self._sums.items()}

    def load(self, dumped: Mapping[str, list[float]], device: torch.device) -> None:
        """Go on from what `dump` gave."""
        for name, pair in dumped.items():
            self._sums[name] = torch.tensor(pair, dtype=torch.float64, device=device)

    def clear(self) -> None:
        """Begin a new epoch."""
        self._sums.clear()


@dataclass(frozen=True)
class Evaluate:
    """The loss of a batch in the loop's precision, and its parts.

    Called again it draws the same dropout masks, unless ``draw`` is another number.

    Attributes:
        network: what is trained.
        batch: token numbers, mask and targets.
        loss: of logits and targets.
        seed: of the run.
        step: how many steps were done before this one.
        steps: how many there will be.
        bf16: whether to compute in bf16.
        notes: see `note`.
        lookup: gives the embeddings instead of the network's table, as MixUp does.
        part: number of the batch within its step.
        parts: batches of a step, those of other processes too.
        rows: which of a batch these are, see `take`; absent: a whole one.
    """

    network: Network
    batch: Batch
    loss: Loss
    seed: int = 0
    step: int = 0
    steps: int = 1
    bf16: bool = False
    notes: Notes = field(default_factory=Notes)
    lookup: Callable[[], torch.Tensor] | None = None
    part: int = 0
    parts: int = 1
    rows: Part | None = None

    @property
    def number(self) -> int:
        """Of the batch in the whole training: what is random follows from it."""
        return self.step * self.parts + self.part

    def __call__(self, embeddings: torch.Tensor | None = None, draw: int = 0) -> torch.Tensor:
        """The loss, a scalar."""
        return self.judge(self.logits(embeddings, draw))

    def embed(self) -> torch.Tensor:
        """The batch's embeddings [rows, tokens, width], attached to their table."""
        return self.network.embed(self.batch.ids) if self.lookup is None else self.lookup()

    def logits(self, embeddings: torch.Tensor | None = None, draw: int = 0) -> torch.Tensor:
        """Logits [rows, labels] in single precision.

        Args:
            embeddings: instead of `embed`.
            draw: number of the dropout masks.
        """
        seed = rng.derive(self.seed, "dropout", self.number, draw)
        device = self.batch.ids.device
        self.network.seed_dropout(seed, self.rows)
        with (
            torch.random.fork_rng([device] if device.type == "cuda" else []),
            torch.autocast(device.type, torch.bfloat16, enabled=self.bf16),
        ):
            torch.manual_seed(seed)  # for layers that only know PyTorch's generator
            given = self.embed() if embeddings is None else embeddings
            logits: torch.Tensor = self.network(self.batch.ids, self.batch.mask, given)
        return logits.float()

    def judge(self, logits: torch.Tensor) -> torch.Tensor:
        """The loss of these logits, a scalar."""
        loss: torch.Tensor = self.loss(logits, self.batch.targets)
        return loss

    def take(self, rows: torch.Tensor) -> Evaluate:
        """The same for some rows of the batch only, under the masks that they have in it.

        Give it their embeddings.
        """
        batch = Batch(*(tensor[rows] for tensor in self.batch))
        return replace(self, batch=batch, lookup=None, rows=Part(rows, len(self.batch.ids)))

    def random(self, name: str) -> torch.Generator:
        """On the batch's device: a pure function of the seed, the batch's number and the name."""
        generator = torch.Generator(self.batch.ids.device)
        return generator.manual_seed(rng.derive(self.seed, name, self.number))

    def note(self, name: str, value: torch.Tensor | float) -> None:
        """Report a number; its mean over the epoch's steps stands in the history."""
        self.notes.add(name, value)


# What one step does: let gradients accumulate in the network, give back the loss.
Step = Callable[[Network, Batch, Evaluate], torch.Tensor]


@runtime_checkable
class Remembering(Protocol):
    """A step that keeps something from one step to the next; checkpoints hold it."""

    def state(self) -> Tensors:
        """What it keeps."""

    def load_state(self, state: Tensors) -> None:
        """Go on from what `state` gave."""


def clean_step(network: Network, batch: Batch, evaluate: Evaluate) -> torch.Tensor:
    """One forward and one backward pass."""
    del network, batch
    loss = evaluate()
    loss.backward()  # type: ignore[no-untyped-call]  # PyTorch's own
    return loss.detach()

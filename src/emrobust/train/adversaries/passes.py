"""The passes of one adversarial step: what is perturbed, and whose gradients are kept.

The embeddings are looked up once. Every pass reads a copy of them plus δ, whose gradient is both
δ's and the table's share of that pass; the table itself gets the sum at the end, which is the same
gradient as K passes through it and saves K − 1 gradients as large as the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from emrobust.models.network import Network
from emrobust.train.adversaries import geometry
from emrobust.train.steps import Evaluate

Objective = Callable[[torch.Tensor], torch.Tensor]


class Passes:
    """Training passes and ascents at points near a batch's embeddings, all with one dropout mask.

    Attributes:
        evaluate: gives losses and logits.
        clean: the embeddings, detached, float32 [rows, tokens, width].
        mask: true where there is a token [rows, tokens].
        logits: of the latest `train` or `ascend`, detached [rows, labels].
    """

    logits: torch.Tensor

    def __init__(self, network: Network, evaluate: Evaluate) -> None:
        self.network = network
        self.evaluate = evaluate
        self.mask = evaluate.batch.mask
        self._embeddings = evaluate.embed()
        self.clean = self._embeddings.detach().float()
        self._gradient: torch.Tensor | None = None

    def train(
        self,
        weight: float,
        delta: torch.Tensor | None = None,
        rows: torch.Tensor | None = None,
        objective: Objective | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Forward and backward; gradients of the weighted loss accumulate in the parameters.

        Args:
            weight: of the loss. With 0 the parameters get nothing, and nothing is spent on it.
            delta: perturbation [rows, tokens, width]; absent: none.
            rows: numbers of the rows that take part; absent: all. ``delta`` has only these.
            objective: of the logits; absent: the loss.

        Returns:
            the loss (not weighted), and its gradient for the embeddings up to a factor.
        """
        if weight == 0:
            return self.ascend(delta, objective)
        point = self.point(delta, rows)
        loss = self._judge(point, rows, objective)
        backward(weight * loss)
        return loss.detach(), self.keep(point, rows)

    def ascend(
        self, delta: torch.Tensor | None = None, objective: Objective | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Forward, and backward for δ only: the parameters' gradients are not computed.

        Args:
            delta: perturbation [rows, tokens, width]; absent: none.
            objective: of the logits; absent: the loss.

        Returns:
            its value and its gradient.
        """
        with frozen(self.network):
            point = self.point(delta)
            value = self._judge(point, None, objective)
            (gradient,) = torch.autograd.grad(value, point)
        return value.detach(), gradient

    def point(
        self, delta: torch.Tensor | None = None, rows: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Embeddings plus δ, a leaf; after the backward pass give it to `keep`."""
        start = self.clean if rows is None else self.clean[rows]
        return (start.detach() if delta is None else start + delta).requires_grad_()

    def keep(self, point: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Add a point's gradient to the table's share, and give it back."""
        gradient = point.grad
        if gradient is None:
            raise RuntimeError("the network does not use the embeddings that it is given")
        # Not in place: the caller holds the first one.
        before = self._gradient
        if rows is not None:
            before = torch.zeros_like(self.clean) if before is None else before
            self._gradient = before.index_add(0, rows, gradient)
        else:
            self._gradient = gradient if before is None else before + gradient
        return gradient

    def close(self) -> None:
        """Pass the collected gradient on to the embedding table."""
        if self._embeddings.requires_grad and self._gradient is not None:
            self._embeddings.backward(self._gradient.to(self._embeddings.dtype))  # type: ignore[no-untyped-call]  # PyTorch's own

    def report(
        self,
        delta: torch.Tensor,
        gain: torch.Tensor | None = None,
        rows: torch.Tensor | None = None,
    ) -> None:
        """Note how large δ was beside the embeddings, and what the ascent gained.

        Args:
            delta: the last one.
            gain: of the loss, or the divergence where that is what was climbed.
            rows: those that ``delta`` is of; absent: all.
        """
        clean, mask = (
            (self.clean, self.mask) if rows is None else (self.clean[rows], self.mask[rows])
        )
        size = geometry.lengths(clean * mask[:, :, None]).clamp_min(1e-12)
        self.evaluate.note("perturbation", (geometry.lengths(delta) / size).mean())
        if gain is not None:
            self.evaluate.note("loss_gain", gain)

    def _judge(
        self, point: torch.Tensor, rows: torch.Tensor | None, objective: Objective | None
    ) -> torch.Tensor:
        evaluate = self.evaluate if rows is None else self.evaluate.take(rows)
        logits = evaluate.logits(point)
        self.logits = logits.detach()
        return (objective or evaluate.judge)(logits)


def backward(loss: torch.Tensor) -> None:
    """`Tensor.backward`, which PyTorch does not type."""
    loss.backward()  # type: ignore[no-untyped-call]  # PyTorch's own


@contextmanager
def frozen(network: Network) -> Iterator[None]:
    """No gradients for parameters inside: a pass keeps less, its way back computes less."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)

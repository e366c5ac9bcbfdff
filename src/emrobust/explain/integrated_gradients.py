"""Integrated gradients: the gradient along the way from an empty text to this one.

The scores of all tokens sum to the difference of the label's score between the two (up to the
sum's coarseness). The empty text has a neutral token in place of each token that stands in the
text; special tokens stay.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

from emrobust.explain.explainer import TokenExplainer
from emrobust.models.network import Network
from emrobust.registry import register


@register("explainer")
class IntegratedGradients(TokenExplainer):
    """Mean gradient at points of the way, times the way.

    Args:
        steps: points on the way, in the middle of equal parts.
        baseline: ``mask``, the mask token's embedding (where there is none: zero), or ``zero``.
    """

    source: ClassVar[str] = "Sundararajan et al. 2017 (1703.01365)"

    def __init__(
        self,
        *,
        steps: Annotated[int, Field(ge=1, le=500)] = 20,
        baseline: Literal["mask", "zero"] = "mask",
    ) -> None:
        self.steps = steps
        self.baseline = baseline

    def _score_tokens(
        self,
        network: Network,
        ids: torch.Tensor,
        mask: torch.Tensor,
        placed: torch.Tensor,
        columns: torch.Tensor,
        *,
        single: bool,
    ) -> torch.Tensor:
        with torch.no_grad():
            end = network.embed(ids)
            start = torch.where(placed[:, :, None], self._neutral(network, end), end)
        total = torch.zeros_like(end)
        for step in range(self.steps):
            share = (step + 0.5) / self.steps
            point = (start + share * (end - start)).requires_grad_()
            with torch.enable_grad():
                reached = label_score(network.classify(point, mask), columns, single=single).sum()
            (slope,) = torch.autograd.grad(reached, point)
            total += slope
        return ((end - start) * total / self.steps).sum(-1)

    def _neutral(self, network: Network, like: torch.Tensor) -> torch.Tensor:
        number = getattr(getattr(network, "tokenizer", None), "mask_token_id", None)
        if self.baseline == "zero" or number is None:
            return torch.zeros_like(like)
        return network.embed(torch.full(like.shape[:2], int(number), device=like.device))


def label_score(logits: torch.Tensor, columns: torch.Tensor, *, single: bool) -> torch.Tensor:
    """The label's log odds [rows]: its logit, or against all others where labels exclude it."""
    own = logits.gather(1, columns[:, None])[:, 0]
    if not single:
        return own
    others = logits.scatter(1, columns[:, None], -torch.inf)
    return own - others.logsumexp(1)

"""Attention rollout: attention multiplied through all layers, half of each being the way past it.

Like attention it is the same for every label and never negative.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from emrobust.explain import weights
from emrobust.explain.explainer import TokenExplainer, network_of
from emrobust.models.estimator import TextClassifier
from emrobust.models.network import Network
from emrobust.models.transformer import Transformer
from emrobust.registry import register


@register("explainer")
class AttentionRollout(TokenExplainer):
    """What the pooled state has received from each token, layer by layer."""

    source: ClassVar[str] = "Abnar & Zuidema 2020 (2005.00928)"
    signed: ClassVar[bool] = False

    def refuses(self, model: TextClassifier) -> str:
        """Whether there are layers of attention."""
        found = weights.has_layers(network_of(model))
        return "" if found else "it has no layers of attention that can be seen"

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
        del placed, columns, single
        if not isinstance(network, Transformer):
            raise TypeError(network)
        itself = torch.eye(ids.shape[1], device=ids.device)
        way = itself
        for looks in weights.layers(network, ids, mask):
            way = (looks + itself) / 2 @ way
        return weights.pooled(network, way, mask)

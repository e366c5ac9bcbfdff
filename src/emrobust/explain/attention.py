"""Attention of the last layer, mean over heads: what the paper shows to doctors.

It says where the network looks, not what speaks for a label: it is the same for every label and
never negative. How far it can be believed is measured (`emrobust.explain.faithfulness`).
"""

from __future__ import annotations

from typing import ClassVar

import torch

from emrobust.explain import weights
from emrobust.explain.explainer import TokenExplainer, network_of
from emrobust.models.bilstm import BiLSTM
from emrobust.models.estimator import TextClassifier
from emrobust.models.network import Network
from emrobust.models.transformer import Transformer
from emrobust.registry import register


@register("explainer")
class Attention(TokenExplainer):
    """What the pooled state of the last layer looks at."""

    source: ClassVar[str] = "Vaswani et al. 2017 (1706.03762)"
    signed: ClassVar[bool] = False

    def refuses(self, model: TextClassifier) -> str:
        """Whether the network attends."""
        return (
            "" if weights.has_weights(network_of(model)) else "it has no attention that can be seen"
        )

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
        if isinstance(network, BiLSTM):
            return weights.of_bilstm(network, ids, mask)
        if not isinstance(network, Transformer):
            raise TypeError(network)
        return weights.pooled(network, weights.layers(network, ids, mask)[-1], mask)

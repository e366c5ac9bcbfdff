"""Attention for Hugging Face encoders with the cheap, seeded dropout of `dropout`.

PyTorch's fused CPU kernel takes no dropout, so that training falls back to a path that draws
its masks one by one; this one is about a fifth faster over a whole step. Evaluation uses the
fused kernel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import sdpa_mask

from emrobust.models.dropout import MaskSource, replace_dropout

NAME = "emrobust"
_SOURCE = "dropout_source"


def attend(  # noqa: PLR0917 - the signature that transformers calls
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Softmax attention; tensors are [rows, heads, tokens, width].

    Args:
        module: the attention layer, which carries the dropout source.
        query: as the layer projects it.
        key: likewise.
        value: likewise.
        attention_mask: true where a token may look, [rows, 1, tokens, tokens].
        dropout: rate on the attention weights, 0 in evaluation.
        scaling: of the scores; absent: 1/√width.

    Returns:
        [rows, tokens, heads, width], and no weights.
    """
    source: MaskSource | None = getattr(module, _SOURCE, None)
    if not dropout or source is None:
        mixed = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling
        )
        return mixed.transpose(1, 2).contiguous(), None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query * scale, key.transpose(-1, -2))
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    weights = source.drop(scores.softmax(-1), dropout)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None


def adopt(encoder: PreTrainedModel, source: MaskSource) -> None:
    """Let all dropout inside ``encoder`` take its masks from ``source``.

    An encoder without exchangeable attention keeps its own attention and that part's dropout,
    which PyTorch's generator seeds.
    """
    replace_dropout(encoder, source)
    # The same test as transformers' own: such models call whatever attention is registered.
    if getattr(encoder, "_supports_attention_backend", False):
        for module in encoder.modules():
            setattr(module, _SOURCE, source)
        encoder.set_attn_implementation(NAME)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)

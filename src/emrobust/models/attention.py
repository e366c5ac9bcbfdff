"""Attention for Hugging Face encoders with the cheap, seeded dropout of `dropout`.

PyTorch's fused CPU kernel takes no dropout, and its backward pass alone is a fifth of a training
step at 64 tokens; so where gradients are wanted on a CPU, two plain products are the faster way.
Inference and other devices use the fused kernel. An ONNX graph gets the plain products too: the
fused one would be written out with a look for NaN in every weight, a twentieth of the time at 120
tokens.
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
        module: the attention layer, which carries the dropout source (of a CPU's masks).
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
    on_cpu = query.device.type == "cpu"
    plain = query.requires_grad or (dropout and source) or torch.onnx.is_in_onnx_export()
    if not on_cpu or not plain:
        mixed = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling
        )
        return mixed.transpose(1, 2).contiguous(), None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = (query * scale) @ key.transpose(2, 3)
    if attention_mask is not None:
        scores += _bias(attention_mask, scores.dtype)
    weights = scores.softmax(-1)
    if source is not None:
        weights = source.drop(weights, dropout)
    elif dropout:
        weights = nn.functional.dropout(weights, dropout)
    return (weights @ value).transpose(1, 2).contiguous(), None


def _bias(allowed: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """0 where a token may look, else the lowest number, which is not -∞: a row of those is NaN."""
    zeros = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    return zeros.masked_fill_(~allowed, torch.finfo(dtype).min)


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


def make_mask(*sizes: Any, **options: Any) -> torch.Tensor | None:
    """As transformers makes it, true where a token may look; None where all may.

    Whether all may is not looked at on a GPU: each look would wait for the device.
    """
    padding = options.get("attention_mask")
    if padding is not None and padding.device.type == "cuda":
        options["allow_is_bidirectional_skip"] = False
    mask: torch.Tensor | None = sdpa_mask(*sizes, **options)
    return mask


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, make_mask)

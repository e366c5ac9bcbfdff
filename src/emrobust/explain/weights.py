"""Attention weights of a network that has them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from transformers import PreTrainedModel

from emrobust.models.bilstm import BiLSTM
from emrobust.models.network import Network
from emrobust.models.transformer import Transformer


def layers(network: Transformer, ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
    """Each layer's weights, mean over heads [rows, tokens, tokens]: who looks, at whom."""
    with _showing(network.encoder), torch.inference_mode():
        seen: list[torch.Tensor] = []
        hooks = [
            module.register_forward_hook(lambda _module, _given, made: seen.append(made[1]))
            for module in _attending(network)
        ]
        try:
            network.features(network.embed(ids), mask)
        finally:
            for hook in hooks:
                hook.remove()
    return [weights.float().mean(1) for weights in seen if weights is not None]


def _attending(network: Transformer) -> list[torch.nn.Module]:
    """The modules of the encoder that give their weights, by the names of BERT and ModernBERT."""
    found = network.encoder.named_modules()
    return [module for name, module in found if name.endswith((".self", ".attn"))]


@contextlib.contextmanager
def _showing(encoder: PreTrainedModel) -> Iterator[None]:
    """Only the plain implementation gives its weights."""
    before = encoder.config._attn_implementation  # noqa: SLF001 - transformers names it so
    encoder.set_attn_implementation("eager")
    try:
        yield
    finally:
        encoder.set_attn_implementation(before)


def pooled(network: Transformer, looks: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """What the pooled state looks at [rows, tokens].

    Args:
        network: pools the first token, the mean of all, or both.
        looks: [rows, tokens, tokens].
        mask: true where there is a token.
    """
    first = looks[:, 0]
    kept = mask[:, :, None].to(looks.dtype)
    mean = (looks * kept).sum(1) / kept.sum(1)
    return {"cls": first, "mean": mean}.get(network.pooling, (first + mean) / 2)


def of_bilstm(network: BiLSTM, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The weights by which it sums up its states [rows, tokens]."""
    seen: list[torch.Tensor] = []
    hook = network.score.register_forward_hook(lambda _module, _given, made: seen.append(made))
    try:
        with torch.inference_mode():
            network(ids, mask)
    finally:
        hook.remove()
    return seen[0].squeeze(-1).float().masked_fill(~mask, -torch.inf).softmax(-1)


def has_layers(network: Network | None) -> bool:
    """Whether there are layers whose weights can be seen; those of DistilBERT can not."""
    return isinstance(network, Transformer) and bool(_attending(network))


def has_weights(network: Network | None) -> bool:
    """Whether there is anything to see."""
    return isinstance(network, BiLSTM) or has_layers(network)

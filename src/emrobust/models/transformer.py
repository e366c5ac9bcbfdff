"""Any Hugging Face encoder, from a folder or by its hub name, with one linear layer on top."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from emrobust.errors import ModelError
from emrobust.models import attention, checkpoint
from emrobust.models.dropout import Dropout
from emrobust.models.network import Network
from emrobust.registry import register

Pooling = Literal["cls", "mean", "cls+mean"]
ENCODER = "encoder"


@register("model")
class Transformer(Network):
    """Encoder, pooling, dropout, linear layer.

    Args:
        tokenizer: of the checkpoint.
        encoder: of the checkpoint.
        outputs: number of labels.
        checkpoint: a folder, or a hub name such as ``hfl/chinese-roberta-wwm-ext``.
        pooling: the first token, the mean of all, or both side by side (best for small
            encoders that were not pretrained with a sentence task).
        dropout: rate before the output layer; inside, the checkpoint's own rates hold.
    """

    def __init__(
        self,
        tokenizer: Any,
        encoder: PreTrainedModel,
        outputs: int,
        *,
        checkpoint: str,
        pooling: Pooling = "cls+mean",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.settings = {"checkpoint": checkpoint, "pooling": pooling, "dropout": dropout}
        self.tokenizer = tokenizer
        self.encoder = encoder
        self.pooling = pooling
        self.pad = int(tokenizer.pad_token_id)
        attention.adopt(encoder, self.masks)
        self.late = Dropout(dropout, self.masks)
        width = encoder.config.hidden_size * (2 if pooling == "cls+mean" else 1)
        self.head = nn.Linear(width, outputs)
        nn.init.normal_(self.head.weight, std=0.02)
        self.first_position = _first_position(encoder)
        self.takes_positions = "position_ids" in inspect.signature(encoder.forward).parameters

    @classmethod
    def new(cls, texts: Sequence[str], outputs: int, settings: Mapping[str, Any]) -> Self:
        """Read the checkpoint; ``texts`` teach it no vocabulary.

        Raises:
            ModelError: it cannot be found, reached, read, or is no encoder.
        """
        del texts
        folder = checkpoint.locate(settings["checkpoint"])
        config = checkpoint.read_config(folder)
        tokenizer = checkpoint.read_tokenizer(folder)
        if len(tokenizer) > config.vocab_size:
            raise ModelError(
                f"the tokenizer in {folder} has {len(tokenizer)} tokens and the encoder only"
                f" {config.vocab_size}",
                "They are of different checkpoints; copy the whole folder again.",
            )
        encoder = checkpoint.without_pooler(checkpoint.read_encoder(folder, config))
        return cls(tokenizer, encoder, outputs, **settings)

    @classmethod
    def restore(cls, folder: Path, outputs: int, settings: Mapping[str, Any]) -> Self:
        """Rebuild from the configuration and tokenizer that were saved beside the weights."""
        tokenizer = checkpoint.read_tokenizer(folder / ENCODER)
        encoder = checkpoint.without_pooler(checkpoint.empty_encoder(folder / ENCODER))
        return cls(tokenizer, encoder, outputs, **settings)

    @property
    def learning_rate(self) -> float:
        """5e-5 for encoders of the usual size, 1e-4 for small ones."""
        return 5e-5 if self.encoder.config.hidden_size >= 512 else 1e-4

    def save_vocabulary(self, folder: Path) -> None:
        """Write the encoder's configuration and tokenizer."""
        self.encoder.config.save_pretrained(folder / ENCODER)
        self.tokenizer.save_pretrained(folder / ENCODER)

    def encode(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        """Token numbers with the checkpoint's special tokens; longer texts are cut."""
        room = getattr(self.encoder.config, "max_position_embeddings", None)
        limit = max_length if room is None else min(max_length, room - self.first_position)
        if not len(texts):
            return []
        encoded = self.tokenizer(
            list(texts),
            truncation=True,
            max_length=limit,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        return cast("list[list[int]]", encoded["input_ids"])

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Word embeddings, before positions, types and LayerNorm."""
        return cast("torch.Tensor", self.encoder.get_input_embeddings()(ids))

    def classify(self, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Positions are given explicitly: RoBERTa's begin after its padding number."""
        given: dict[str, Any] = {"inputs_embeds": embeddings, "attention_mask": mask.long()}
        if self.takes_positions:
            places = torch.arange(mask.shape[1], device=mask.device) + self.first_position
            given["position_ids"] = places[None, :]
        states = self.encoder(**given).last_hidden_state
        logits: torch.Tensor = self.head(self.late(self._pool(states, mask)))
        return logits

    def _pool(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self.pooling == "cls":
            return states[:, 0]
        kept = mask[:, :, None].to(states.dtype)
        mean = (states * kept).sum(1) / kept.sum(1)
        return mean if self.pooling == "mean" else torch.cat([states[:, 0], mean], -1)


def _first_position(encoder: PreTrainedModel) -> int:
    """The number of the first token's position: 0 for BERT, padding + 1 for RoBERTa."""
    for name, module in encoder.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return 0 if module.padding_idx is None else int(module.padding_idx) + 1
    return 0

"""The embedded encoder, or any Hugging Face one by folder or name, and an output layer on top."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import torch
from pydantic import Field
from torch import nn
from transformers import PreTrainedModel

from emrobust.encoder import checkpoint, embedded
from emrobust.errors import ModelError
from emrobust.models import attention
from emrobust.models.dropout import Dropout
from emrobust.models.label_attention import LabelAttention
from emrobust.models.network import Network
from emrobust.registry import register

Pooling = Literal["cls", "mean", "cls+mean"]
ENCODER = "encoder"
# How BERT, RoBERTa, ELECTRA, ModernBERT and their like name the parameters of layer 7.
_LAYER = re.compile(r"\blayers?\.(\d+)\.")
# A share of unknown tokens is known well enough from so many texts.
_SAMPLE = 2000
_SAMPLE_LENGTH = 256
_MOST_UNKNOWN = 1 / 3
# The embedded encoder's was found by search (dev/log.md).
_RATE_OF_EMBEDDED, _RATE, _RATE_OF_SMALL = 8e-4, 5e-5, 1e-4
_SMOOTHING_OF_EMBEDDED = 0.05
_WIDE = 512


@register("model")
class Transformer(Network):
    """Encoder, pooling, dropout, linear layer; beside it each label's own attention over tokens.

    Args:
        tokenizer: of the checkpoint.
        encoder: of the checkpoint.
        outputs: number of labels.
        checkpoint: ``emrobust/zh-small``, which lies in the package, a folder, or a hub name
            such as ``hfl/chinese-roberta-wwm-ext``.
        pooling: the first token, the mean of all, or both side by side (best for small
            encoders that were not pretrained with a sentence task).
        layers: the states of so many last layers (at most all) are averaged before pooling.
        label_attention: add what each label reads in the tokens by an attention of its own: a few
            words speak for a diagnosis, and pooling dilutes them.
        dropout: rate before the output layer; inside, the checkpoint's own rates hold.
    """

    def __init__(
        self,
        tokenizer: Any,
        encoder: PreTrainedModel,
        outputs: int,
        *,
        checkpoint: str = embedded.NAME,
        pooling: Pooling = "cls+mean",
        layers: Annotated[int, Field(ge=1)] = 1,
        label_attention: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.settings = {
            "checkpoint": checkpoint,
            "pooling": pooling,
            "layers": layers,
            "label_attention": label_attention,
            "dropout": dropout,
        }
        self.tokenizer = tokenizer
        self.encoder = encoder
        self.pooling = pooling
        self.layers = min(layers, int(encoder.config.num_hidden_layers))
        self.pad = int(tokenizer.pad_token_id)
        attention.adopt(encoder, self.masks)
        self.late = Dropout(dropout, self.masks)
        hidden = encoder.config.hidden_size
        self.head = nn.Linear(hidden * (2 if pooling == "cls+mean" else 1), outputs)
        nn.init.normal_(self.head.weight, std=0.02)
        self.label_attention = LabelAttention(hidden, outputs) if label_attention else None
        self.first_position = _first_position(encoder)
        self.takes_positions = "position_ids" in inspect.signature(encoder.forward).parameters

    @classmethod
    def new(cls, texts: Sequence[str], outputs: int, settings: Mapping[str, Any]) -> Self:
        """Read the checkpoint; ``texts`` teach it no vocabulary, but it must know theirs.

        Raises:
            ModelError: it cannot be found, reached or read, is no encoder, or does not know a
                third of the texts' tokens.
        """
        tokenizer, encoder = checkpoint.read(checkpoint.locate(settings["checkpoint"]))
        missed = unknown_share(tokenizer, texts)
        if missed >= _MOST_UNKNOWN:
            raise ModelError(
                f"the vocabulary of {settings['checkpoint']} misses {missed:.0%} of the training"
                " texts' tokens",
                "Choose a checkpoint of the texts' language, such as emrobust/zh-small for Chinese,"
                " and look whether the texts were read in the right encoding.",
            )
        return cls(tokenizer, encoder, outputs, **settings)

    @classmethod
    def restore(cls, folder: Path, outputs: int, settings: Mapping[str, Any]) -> Self:
        """Rebuild from the configuration and tokenizer that were saved beside the weights."""
        tokenizer = checkpoint.read_tokenizer(folder / ENCODER)
        encoder = checkpoint.without_pooler(checkpoint.empty_encoder(folder / ENCODER))
        return cls(tokenizer, encoder, outputs, **settings)

    @property
    def learning_rate(self) -> float:
        """See `usual_rate`."""
        return usual_rate(self.settings["checkpoint"], self.encoder.config.hidden_size)

    @classmethod
    def usual_smoothing(cls, task: str, settings: Mapping[str, Any]) -> float:
        """A little where the embedded encoder tells one label (dev/log.md)."""
        embeds = settings["checkpoint"] == embedded.NAME
        return _SMOOTHING_OF_EMBEDDED if embeds and task == "single" else 0.0

    @classmethod
    def usual_adversary(cls, task: str, settings: Mapping[str, Any]) -> str | None:
        """FreeLB where the embedded encoder tells several labels: there it gains (dev/log.md)."""
        embeds = settings["checkpoint"] == embedded.NAME
        return "freelb" if embeds and task == "multi" else None

    def by_depth(self) -> list[list[nn.Parameter]]:
        """Head, then the encoder's layers from the last to the first, then the embeddings."""
        count = int(self.encoder.config.num_hidden_layers)
        found: list[list[nn.Parameter]] = [[] for _ in range(count + 2)]
        for name, parameter in self.named_parameters():
            layer = _LAYER.search(name)
            if layer:
                found[count - int(layer[1])].append(parameter)
            else:
                found[-1 if "embeddings" in name else 0].append(parameter)
        return found

    def save_vocabulary(self, folder: Path) -> None:
        """Write the encoder's configuration and tokenizer."""
        self.encoder.config.save_pretrained(folder / ENCODER)
        self.tokenizer.save_pretrained(folder / ENCODER)

    def encode(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        """Token numbers with the checkpoint's special tokens; longer texts are cut."""
        if not len(texts):
            return []
        encoded = self.tokenizer(
            list(texts),
            truncation=True,
            max_length=self.limit(max_length),
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        return cast("list[list[int]]", encoded["input_ids"])

    def locate(self, text: str, max_length: int) -> list[tuple[int, int]]:
        """The tokenizer's own ranges.

        Raises:
            ModelError: it is one of the slow kind, which knows none.
        """
        if not self.tokenizer.is_fast:
            raise ModelError(
                "this checkpoint's tokenizer does not say where its tokens stand",
                "Give the checkpoint a tokenizer.json, or explain by occlusion.",
            )
        encoded = self.tokenizer(
            text,
            truncation=True,
            max_length=self.limit(max_length),
            return_offsets_mapping=True,
        )
        return [(int(start), int(end)) for start, end in encoded["offset_mapping"]]

    def limit(self, max_length: int) -> int:
        """Not more than it has positions for."""
        return min(max_length, room(self.encoder, max_length))

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Word embeddings, before positions, types and LayerNorm."""
        return cast("torch.Tensor", self.encoder.get_input_embeddings()(ids))

    def classify(self, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits [rows, outputs]."""
        return self.judge(self._states(embeddings, mask), mask)

    def judge(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits [rows, outputs] of the encoder's states [rows, tokens, hidden]."""
        logits: torch.Tensor = self.head(self.late(self._pool(states, mask)))
        if self.label_attention is None:
            return logits
        read: torch.Tensor = self.label_attention(self.late(states), mask)
        return logits + read

    def features(self, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Pooled states [rows, width of the head's input]."""
        return self._pool(self._states(embeddings, mask), mask)

    def _states(self, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Of the tokens; positions are given: RoBERTa's begin after its padding number."""
        given: dict[str, Any] = {"inputs_embeds": embeddings, "attention_mask": mask.long()}
        if self.takes_positions:
            places = torch.arange(mask.shape[1], device=mask.device) + self.first_position
            given["position_ids"] = places[None, :]
        answer = self.encoder(**given, output_hidden_states=self.layers > 1)
        if self.layers == 1:
            return cast("torch.Tensor", answer.last_hidden_state)
        return torch.stack(answer.hidden_states[-self.layers :]).mean(0)

    def _pool(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self.pooling == "cls":
            return states[:, 0]
        kept = mask[:, :, None].to(states.dtype)
        mean = (states * kept).sum(1) / kept.sum(1)
        return mean if self.pooling == "mean" else torch.cat([states[:, 0], mean], -1)


def unknown_share(tokenizer: Any, texts: Sequence[str]) -> float:
    """Share of the texts' tokens that the tokenizer does not know, by a sample of the texts."""
    if tokenizer.unk_token_id is None or not len(texts):
        return 0.0
    sample = list(texts[:: -(-len(texts) // _SAMPLE)])
    rows = tokenizer(sample, add_special_tokens=False, truncation=True, max_length=_SAMPLE_LENGTH)[
        "input_ids"
    ]
    unknown: int = sum(row.count(tokenizer.unk_token_id) for row in rows)
    return unknown / max(sum(map(len, rows)), 1)


def room(encoder: PreTrainedModel, otherwise: int) -> int:
    """How many tokens an encoder has positions for; ``otherwise`` where it has no such limit."""
    positions: int | None = getattr(encoder.config, "max_position_embeddings", None)
    return otherwise if positions is None else positions - _first_position(encoder)


def _first_position(encoder: PreTrainedModel) -> int:
    """The number of the first token's position: 0 for BERT, padding + 1 for RoBERTa."""
    for name, module in encoder.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return 0 if module.padding_idx is None else int(module.padding_idx) + 1
    return 0


def usual_rate(checkpoint: str, width: int) -> float:
    """The learning rate that an encoder is fine-tuned with where the project names none.

    Args:
        checkpoint: as the project names it.
        width: of its hidden states.
    """
    if checkpoint == embedded.NAME:
        return _RATE_OF_EMBEDDED
    return _RATE if width >= _WIDE else _RATE_OF_SMALL

"""What pretraining minimises: masked words, and the co-occurrence vectors of words and passages."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from emrobust.encoder.cooccurrence import WordVectors
from emrobust.errors import ModelError

NAMES = ("mlm", "words", "passage")
# The answer at places that only fill a batch up.
NOTHING = -100


class Batch(NamedTuple):
    """Rows with words hidden, as tensors.

    Attributes:
        ids: what the encoder reads, int64 [rows, tokens].
        mask: true where there is a token [rows, tokens].
        places: flat positions of the tokens to predict, int64 [predicted].
        answers: what stood there, or `NOTHING`, int64 [predicted].
        words: row of each token's word in the word vectors, −1 without, int64 [rows, tokens].
        following: likewise for the row that follows in the corpus [rows, other tokens].
    """

    ids: torch.Tensor
    mask: torch.Tensor
    places: torch.Tensor
    answers: torch.Tensor
    words: torch.Tensor
    following: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


class Pretrainer(nn.Module):
    """An encoder with its masked-LM head, and small heads for the co-occurrence vectors.

    Args:
        model: any Hugging Face masked-LM model.
        vectors: what words and passages are to predict; absent: masked language modelling only.
    """

    vectors: torch.Tensor
    weights: torch.Tensor

    def __init__(self, model: PreTrainedModel, vectors: WordVectors | None) -> None:
        super().__init__()
        self.model = model
        self.head = masked_lm_head(model)
        self.distils = vectors is not None
        if vectors is not None:
            width = model.config.hidden_size
            self.of_word = nn.Linear(width, vectors.width)
            self.of_passage = nn.Linear(2 * width, 2 * vectors.width)
            self.register_buffer("vectors", torch.from_numpy(vectors.vectors), persistent=False)
            self.register_buffer("weights", torch.from_numpy(vectors.weights), persistent=False)

    def forward(self, batch: Batch) -> torch.Tensor:
        """The mean losses in the order of `NAMES`, float32 [1 or 3]."""
        found = self.model.base_model(
            input_ids=batch.ids,
            attention_mask=batch.mask.long(),
            output_hidden_states=self.distils,
        )
        states = found.last_hidden_state
        logits = self.predict(states, batch)
        losses = [functional.cross_entropy(logits.float(), batch.answers, ignore_index=NOTHING)]
        if self.distils:
            middle = found.hidden_states[len(found.hidden_states) // 2]
            losses += [self._words(middle, batch), self._passage(states, batch)]
        return torch.stack(losses)

    def predict(self, states: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Logits at the hidden places only, [predicted, vocabulary]."""
        return self.head(states.flatten(0, 1)[batch.places])

    def _words(self, states: torch.Tensor, batch: Batch) -> torch.Tensor:
        """1 − cosine between each token, halfway up, and the vector of its word, hidden or not."""
        known = (batch.words >= 0).float()
        near = _closeness(self.of_word(states).float(), self.vectors[batch.words])
        return 1 - (near * known).sum() / known.sum().clamp(min=1)

    def _passage(self, states: torch.Tensor, batch: Batch) -> torch.Tensor:
        """How far the first token beside the mean is from telling what it cannot see.

        That is: the vector of the hidden words, and that of the row which follows.
        """
        hidden = torch.zeros_like(batch.words.flatten(), dtype=torch.bool)
        hidden[batch.places[batch.answers != NOTHING]] = True
        unseen = torch.where(hidden.view_as(batch.words), batch.words, -1)
        kept = batch.mask[:, :, None].to(states.dtype)
        mean = (states * kept).sum(1) / kept.sum(1)
        guess = self.of_passage(torch.cat([states[:, 0], mean], -1)).float()
        own, following = guess.chunk(2, -1)
        near = _closeness(own, self._compose(unseen))
        return 1 - (near + _closeness(following, self._compose(batch.following))).mean() / 2

    def _compose(self, words: torch.Tensor) -> torch.Tensor:
        """Weighted sums of word vectors, float32 [rows, width]."""
        return torch.einsum("rt,rtw->rw", self.weights[words], self.vectors[words])


def _closeness(guess: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cosine along the last axis; 0 for a target of zeros, which teaches nothing."""
    return functional.cosine_similarity(guess, target, dim=-1, eps=1e-6)


def masked_lm_head(model: PreTrainedModel) -> Callable[[torch.Tensor], torch.Tensor]:
    """The function from hidden states [n, width] to logits [n, vocabulary].

    Called on the hidden places only, it costs a seventh of what the whole batch would.

    Raises:
        ModelError: the architecture keeps its head where this version does not find it.
    """
    parts = [
        ("cls",),  # BERT
        ("lm_head",),  # RoBERTa
        ("generator_predictions", "generator_lm_head"),  # ELECTRA
        ("head", "decoder"),  # ModernBERT
        ("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector"),  # DistilBERT
    ]
    for names in parts:
        if all(hasattr(model, name) for name in names):
            return _Chain([getattr(model, name) for name in names])
    raise ModelError(
        f"{model.config.model_type!r} keeps its masked-LM head in no known place",
        "Choose a checkpoint of the BERT, RoBERTa, ELECTRA, ModernBERT or DistilBERT kind.",
    )


class _Chain:
    """Layers one after another; no module, so that their weights are counted once."""

    def __init__(self, layers: list[nn.Module]) -> None:
        self._layers = layers

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        for layer in self._layers:
            values = layer(values)
        return values


def accuracy(pretrainer: Pretrainer, batch: Batch) -> tuple[float, int, int]:
    """Sum of the cross-entropies, of the right guesses, and their number, over hidden places."""
    states = pretrainer.model.base_model(
        input_ids=batch.ids, attention_mask=batch.mask.long()
    ).last_hidden_state
    logits = pretrainer.predict(states, batch).float()
    loss = functional.cross_entropy(logits, batch.answers, reduction="sum", ignore_index=NOTHING)
    right = (logits.argmax(-1) == batch.answers).sum()
    return float(loss), int(right), int((batch.answers != NOTHING).sum())


def word_rows(words: np.ndarray, vectors: WordVectors | None) -> np.ndarray:
    """Rows of the word vectors for words of the corpus's vocabulary, −1 where there is none."""
    if vectors is None:
        return np.full(words.shape, -1, np.int64)
    return np.where(words >= 0, vectors.rows[np.maximum(words, 0)], -1)

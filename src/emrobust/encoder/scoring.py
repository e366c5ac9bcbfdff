"""How likely characters are at places of a text, by a masked language model."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from emrobust.encoder import checkpoint
from emrobust.encoder.objectives import masked_lm_head

_APART = 8  # places hidden at once lie so far apart: about the share that pretraining hides
_ROOM = 510  # tokens that are read of a text
_NEVER = float("-inf")


class CharacterScorer:
    """Answers what `emrobust.normalize.Scorer` asks.

    A text is read ``_APART`` times, every eighth place hidden each time, instead of once a place:
    the others are read as they stand, as in pretraining.

    Args:
        name: of a checkpoint with its masked-LM head: ``emrobust/zh-small``, a folder, a hub name.

    Attributes:
        name: the same, so that a run can say what it needs.

    Raises:
        ModelError: it cannot be found or used.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tokenizer, self._model = checkpoint.read_masked_lm(checkpoint.locate(name))
        limit = int(getattr(self._model.config, "max_position_embeddings", _ROOM + 2))
        self._room = min(_ROOM, limit - 2)

    def __call__(
        self, text: str, places: Sequence[int], characters: Sequence[str]
    ) -> list[list[float]]:
        """Natural logarithms of probabilities, float32; one character's are a list.

        A place that is no token by itself, or lies behind what is read, answers with minus
        infinity for every character; so does a character that the model does not know.

        Args:
            text: the whole text.
            places: offsets into it, ascending.
            characters: for each place the characters that are asked about.
        """
        encoded = self._tokenizer(
            text, truncation=True, max_length=self._room, return_offsets_mapping=True
        )
        ids = torch.tensor(encoded["input_ids"])
        spans = [tuple(span) for span in encoded["offset_mapping"]]
        at = {start: token for token, (start, end) in enumerate(spans) if end - start == 1}
        asked = [(number, at[place]) for number, place in enumerate(places) if place in at]
        scores = [[_NEVER] * len(of) for of in characters]
        if asked:
            answers = self._predict(ids, [token for _, token in asked])
            for (number, _), row in zip(asked, answers, strict=True):
                numbers = self._tokenizer.convert_tokens_to_ids(list(characters[number]))
                scores[number] = [
                    _NEVER if token == self._tokenizer.unk_token_id else float(row[token])
                    for token in numbers
                ]
        return scores

    @torch.inference_mode()
    def _predict(self, ids: torch.Tensor, tokens: Sequence[int]) -> torch.Tensor:
        """Log-probabilities [tokens, vocabulary] at these tokens, each of them hidden."""
        rows = ids.repeat(min(_APART, len(tokens)), 1)
        line = torch.arange(len(tokens)) % len(rows)
        at = torch.tensor(tokens)
        rows[line, at] = int(self._tokenizer.mask_token_id)
        states = self._model.base_model(input_ids=rows).last_hidden_state[line, at]
        return masked_lm_head(self._model)(states).float().log_softmax(1)

"""What every method of explanation is: texts and labels in, a score for each unit out.

A method is one file with ``@register("explainer")``. A score above 0 speaks for the label, one
below 0 against it where the method can tell (``signed``); attention cannot. Offsets are those of
the original text: where the model reads a normalised one, the way back is taken.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch

from emrobust import registry
from emrobust.errors import ModelError
from emrobust.explain import units
from emrobust.explain.units import Level, Unit
from emrobust.models.estimator import TextClassifier
from emrobust.models.network import Network
from emrobust.train import batches

KIND = "explainer"
_BATCH, _BATCH_TOKENS = 32, 4096


@dataclass(frozen=True)
class Explanation:
    """The units of a text, and how much each speaks for the label.

    Attributes:
        units: in the order of the text.
        scores: float64 [units]; their scale is the method's own.
    """

    units: tuple[Unit, ...]
    scores: np.ndarray

    def ranked(self) -> list[int]:
        """Places of the units, what speaks for the label most first."""
        return [int(place) for place in np.argsort(-self.scores, kind="stable")]


class Explainer(ABC):
    """Base of the methods; keeps no state, so one serves all models and texts."""

    source: ClassVar[str]
    signed: ClassVar[bool] = True

    @abstractmethod
    def refuses(self, model: TextClassifier) -> str:
        """Why it cannot explain this model; empty where it can."""

    @abstractmethod
    def score(
        self,
        model: TextClassifier,
        texts: Sequence[str],
        columns: Sequence[int],
        pieces: Sequence[Sequence[Unit]],
    ) -> list[np.ndarray]:
        """Scores of the units of each text for one label of each, float64 [units]."""


class Tokens(NamedTuple):
    """A text as a network reads it.

    Attributes:
        ids: token numbers.
        spans: where each token stands in the original text; (0, 0) for one that stands nowhere.
    """

    ids: list[int]
    spans: list[tuple[int, int]]


class TokenExplainer(Explainer):
    """A method that looks inside a network and scores its tokens."""

    def refuses(self, model: TextClassifier) -> str:
        """Whether there is a network."""
        return "" if network_of(model) is not None else "it has no network to look into"

    def score(
        self,
        model: TextClassifier,
        texts: Sequence[str],
        columns: Sequence[int],
        pieces: Sequence[Sequence[Unit]],
    ) -> list[np.ndarray]:
        """Scores of tokens, spread over the units that they stand in."""
        network = cast("Network", network_of(model))
        reads = [read(model, network, text) for text in texts]
        scores: list[np.ndarray] = [np.empty(0)] * len(texts)
        for rows, ids, mask in _padded(network, reads):
            placed = torch.zeros(ids.shape, dtype=torch.bool)
            for row, text in enumerate(rows):
                spans = reads[text].spans
                placed[row, : len(spans)] = torch.tensor([end > start for start, end in spans])
            labels = torch.tensor([columns[text] for text in rows], device=ids.device)
            found = self._score_tokens(
                network, ids, mask, placed.to(ids.device), labels, single=model.task_ == "single"
            )
            for text, of_text in zip(rows, found.double().cpu().numpy(), strict=True):
                spans = reads[text].spans
                scores[text] = units.spread(
                    spans, of_text[: len(spans)], pieces[text], len(texts[text])
                )
        return scores

    @abstractmethod
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
        """Scores [rows, tokens].

        Args:
            network: in evaluation mode.
            ids: token numbers [rows, tokens].
            mask: true where there is a token.
            placed: true where the token stands somewhere in the text.
            columns: the label of each row [rows].
            single: whether labels exclude each other.
        """


def network_of(model: TextClassifier) -> Network | None:
    """The network of a model that has one."""
    network = getattr(model, "network_", None)
    return network.eval() if isinstance(network, Network) else None


def read(model: TextClassifier, network: Network, text: str) -> Tokens:
    """Token numbers of a text, and where in the original each stands."""
    longest: int = model.max_length
    if model.normalizer is None:
        return Tokens(network.encode([text], longest)[0], network.locate(text, longest))
    aligned = model.normalizer.align(text)
    spans = [
        aligned.to_original(start, end) if end > start else (0, 0)
        for start, end in network.locate(aligned.text, longest)
    ]
    return Tokens(network.encode([aligned.text], longest)[0], spans)


def beginning(model: TextClassifier, text: str) -> str:
    """The part of a text that the model reads; it cuts what is too long.

    Deleting from the whole text would let in what stood behind the cut, and words would seem to
    matter for what took their place.
    """
    network = network_of(model)
    if network is None:
        return text
    try:
        spans = read(model, network, text).spans
    except ModelError:  # its tokenizer does not know where its tokens stand
        return text
    return text[: max((end for _, end in spans), default=0)]


def _padded(
    network: Network, reads: Sequence[Tokens]
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Rows of about the same length, their token numbers and masks."""
    packed = batches.pack([read.ids for read in reads])
    device = network.head.weight.device
    for rows in batches.by_length(packed.lengths, batch_size=_BATCH, batch_tokens=_BATCH_TOKENS):
        ids, mask = batches.pad(packed, rows, network.pad)
        yield [int(row) for row in rows], ids.to(device), mask.to(device)


def make(name: str, values: Mapping[str, Any] | None = None) -> Explainer:
    """A registered method with these settings.

    Raises:
        ConfigError: no such method or setting.
    """
    checked = registry.settings(KIND, name, values or {})
    component = cast("Callable[..., Explainer]", registry.get(KIND, name))
    return component(**checked)


def available(model: TextClassifier) -> dict[str, Explainer]:
    """All methods that can explain this model, at their defaults, by name."""
    made = {name: make(name) for name in registry.names(KIND)}
    return {name: explainer for name, explainer in made.items() if not explainer.refuses(model)}


def explain(
    explainer: Explainer,
    model: TextClassifier,
    texts: Sequence[str],
    columns: Sequence[int],
    level: Level = "word",
) -> list[Explanation]:
    """Explain one label of each text.

    Args:
        explainer: the method.
        model: a fitted model.
        texts: as they were written.
        columns: the label's column in the model's probabilities, one a text.
        level: whether characters or words are scored.

    Raises:
        ModelError: the method cannot explain this model.
    """
    reason = explainer.refuses(model)
    if reason:
        raise ModelError(
            f"{type(explainer).__name__} cannot explain this model: {reason}",
            "Explain by occlusion, which works for every model.",
        )
    pieces = [units.split(text, level) for text in texts]
    scores = explainer.score(model, texts, columns, pieces)
    return [Explanation(tuple(of), s) for of, s in zip(pieces, scores, strict=True)]

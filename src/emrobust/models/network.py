"""What every network is to the training loop, the adversaries and the run folder."""

from __future__ import annotations

import errno
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from emrobust import registry, runs
from emrobust.errors import ModelError, RunError
from emrobust.models.dropout import MaskSource, Part
from emrobust.models.vocabulary import Vocabulary, locate

FILE = "network.json"
WEIGHTS = "weights.safetensors"


class Network(nn.Module):
    """Token numbers → one logit a label.

    A subclass is one file with ``@register("model")``; its keyword-only constructor arguments
    are its settings. It gives `new`, `restore`, `encode`, `locate`, `embed` and `classify`, and
    saves in `save_vocabulary` what `restore` needs. ``head`` is the output layer.

    Rows are padded on the right; a row's logits must not depend on how far.
    """

    pad: int = 0
    head: nn.Linear
    default_learning_rate: ClassVar[float] = 1e-3

    def __init__(self) -> None:
        super().__init__()
        self.masks = MaskSource()
        self.settings: dict[str, Any] = {}

    @classmethod
    @abstractmethod
    def new(cls, texts: Sequence[str], outputs: int, settings: Mapping[str, Any]) -> Self:
        """A network with fresh weights (or a checkpoint's) and a vocabulary from ``texts``."""

    @classmethod
    @abstractmethod
    def restore(cls, folder: Path, outputs: int, settings: Mapping[str, Any]) -> Self:
        """The same architecture from a saved folder, weights not yet loaded."""

    @abstractmethod
    def save_vocabulary(self, folder: Path) -> None:
        """Write what turns text into token numbers."""

    @abstractmethod
    def encode(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        """Token numbers of each text, at least one and at most ``max_length``."""

    def limit(self, max_length: int) -> int:
        """Most tokens that `encode` keeps of a text; an architecture may have room for fewer."""
        return max_length

    @abstractmethod
    def locate(self, text: str, max_length: int) -> list[tuple[int, int]]:
        """Where in the text each token of `encode` stands; (0, 0) for one that stands nowhere."""

    @abstractmethod
    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Word embeddings [rows, tokens, width] before anything is added to them."""

    @abstractmethod
    def classify(self, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits [rows, outputs] from embeddings (perturbed ones too) and a mask of tokens."""

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, embeddings: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits [rows, outputs].

        Args:
            ids: token numbers [rows, tokens].
            mask: true where there is a token, false on padding [rows, tokens].
            embeddings: instead of ``embed(ids)``, as an adversary has changed them.
        """
        return self.classify(self.embed(ids) if embeddings is None else embeddings, mask)

    def seed_dropout(self, seed: int, part: Part | None = None) -> None:
        """Make the next pass in training draw the masks of ``seed``.

        Args:
            seed: of the masks.
            part: which rows of a batch the pass reads; absent: all of them.
        """
        self.masks.seed(seed, part)

    @property
    def learning_rate(self) -> float:
        """What suits this network where the project file says nothing."""
        return self.default_learning_rate

    @classmethod
    def usual_smoothing(cls, task: str, settings: Mapping[str, Any]) -> float:
        """Label smoothing where the project file names neither it nor a loss.

        Args:
            task: ``multi`` or ``single``.
            settings: complete ones of this network.
        """
        del task, settings
        return 0.0

    @classmethod
    def usual_adversary(cls, task: str, settings: Mapping[str, Any]) -> str | None:
        """Name of the adversary where the project file names none; absent: plain training.

        Args:
            task: ``multi`` or ``single``.
            settings: complete ones of this network.
        """
        del task, settings
        return None

    def by_depth(self) -> list[list[nn.Parameter]]:
        """All parameters by their distance from the output, the head's first.

        ``[train] layer_decay`` slows each group against the one before; a network that begins
        with random weights has one group.
        """
        return [list(self.parameters())]

    def set_prior(self, targets: np.ndarray, *, exclusive: bool) -> None:
        """Let the network begin at each label's base rate instead of one half.

        Args:
            targets: 0 and 1 [rows, outputs] of the training rows.
            exclusive: one label a row.
        """
        rate = torch.from_numpy((targets.sum(0) + 0.5) / (len(targets) + 1.0))
        with torch.no_grad():
            self.head.bias.copy_(rate.log() if exclusive else rate.logit())

    def save(self, folder: Path) -> None:
        """Write settings, vocabulary and weights into an existing folder."""
        facts = {
            "name": type(self).__module__.rpartition(".")[2],
            "settings": self.settings,
            "outputs": self.head.out_features,
        }
        runs.write_json(folder / FILE, facts)
        self.save_vocabulary(folder)
        save_weights(self.state_dict(), folder / WEIGHTS)


def load(folder: Path) -> Network:
    """Read what `Network.save` wrote.

    Raises:
        RunError: a file is missing, damaged or does not fit.
    """
    facts = runs.read_json(folder / FILE)
    component = cast("type[Network]", registry.get("model", facts["name"]))
    network = component.restore(folder, facts["outputs"], facts["settings"])
    try:
        network.load_state_dict(load_weights(folder / WEIGHTS))
    except RuntimeError:
        raise RunError(
            f"{folder / WEIGHTS} does not fit the network {facts['name']!r} described beside it",
            "Was one of the files exchanged? Train again or restore the folder.",
        ) from None
    return network.eval()


def save_weights(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write tensors as safetensors, all or nothing.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    with runs.atomic_file(path) as partial:
        try:
            save_file(
                {name: value.detach().contiguous() for name, value in tensors.items()}, partial
            )
        except SafetensorError as error:
            # The system's error is in the message only: "… No space left on device (os error 28)".
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, "not written") from None


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError):
        raise RunError(f"{path} is missing or damaged", "Run the command again.") from None


class WordNetwork(Network):
    """A network with its own vocabulary and embedding table, both learned from training."""

    embedding: nn.Embedding
    vocabulary: Vocabulary

    def __init__(self, vocabulary: Vocabulary, width: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.embedding = nn.Embedding(len(vocabulary), width, padding_idx=0)

    @classmethod
    @abstractmethod
    def build(cls, vocabulary: Vocabulary, outputs: int, settings: Mapping[str, Any]) -> Self:
        """Fresh weights for this vocabulary."""

    @classmethod
    def new(cls, texts: Sequence[str], outputs: int, settings: Mapping[str, Any]) -> Self:
        """Learn the vocabulary from the training texts alone.

        Raises:
            ModelError: the texts have no token that occurs often enough.
        """
        vocabulary = Vocabulary.learn(
            texts, min_count=settings["min_count"], size=settings["vocabulary_size"]
        )
        if not vocabulary.tokens:
            raise ModelError(
                f"no token occurs {settings['min_count']} times in the {len(texts)} texts",
                "Lower `min_count`, or give more training texts.",
            )
        return cls.build(vocabulary, outputs, settings)

    @classmethod
    def restore(cls, folder: Path, outputs: int, settings: Mapping[str, Any]) -> Self:
        """Read the vocabulary."""
        tokens = runs.read_json(folder / "vocabulary.json")
        return cls.build(Vocabulary(tokens), outputs, settings)

    def save_vocabulary(self, folder: Path) -> None:
        """Write ``vocabulary.json``."""
        runs.write_json(folder / "vocabulary.json", self.vocabulary.tokens)

    def encode(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        """Ideographs, digits and marks one by one, words whole."""
        return [self.vocabulary.encode(text, max_length) for text in texts]

    def locate(self, text: str, max_length: int) -> list[tuple[int, int]]:
        """The ranges of the first tokens."""
        return locate(text)[:max_length] or [(0, 0)]

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Rows of the embedding table; zeros on padding."""
        return cast("torch.Tensor", self.embedding(ids))

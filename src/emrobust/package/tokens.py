"""Texts → token numbers, as the network's own `encode` makes them, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from tokenizers import Tokenizer

from emrobust import runs
from emrobust.errors import RunError
from emrobust.models.vocabulary import UNKNOWN, Vocabulary, locate
from emrobust.normalize import Normalizer
from emrobust.package.layout import TOKENIZER, VOCABULARY


class Encode(Protocol):
    """Token numbers of each text, at least one of each."""

    @property
    def unknown(self) -> int | None:
        """The number of what it does not know; None where it takes words to pieces it knows."""

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """See the class."""

    def extent(self, text: str) -> int:
        """Characters that it reads of a text, from the first on; mostly all of them."""


class SubwordEncoder:
    """A tokenizer of the Hugging Face kind.

    Args:
        path: its ``tokenizer.json``.
        max_length: tokens kept of a text, special ones included.

    Raises:
        RunError: it cannot be read.
    """

    def __init__(self, path: Path, max_length: int) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exceptions
            raise RunError(f"{path} cannot be read ({type(error).__name__})") from None
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        named = getattr(self._tokenizer.model, "unk_token", None)
        self.unknown = None if named is None else self._tokenizer.token_to_id(named)

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """See `Encode`."""
        return [list(found.ids) for found in self._tokenizer.encode_batch_fast(list(texts))]

    def extent(self, text: str) -> int:
        """See `Encode`."""
        found = self._tokenizer.encode(text)
        return max(end for _, end in found.offsets) if found.overflowing else len(text)


class WordEncoder:
    """A vocabulary that was learned from training texts.

    Args:
        path: its ``vocabulary.json``.
        max_length: tokens kept of a text.
    """

    unknown = UNKNOWN

    def __init__(self, path: Path, max_length: int) -> None:
        self._vocabulary = Vocabulary(runs.read_json(path))
        self._max_length = max_length

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """See `Encode`."""
        return [self._vocabulary.encode(text, self._max_length) for text in texts]

    def extent(self, text: str) -> int:
        """See `Encode`."""
        places = locate(text)
        return len(text) if len(places) <= self._max_length else places[self._max_length - 1][1]


class Reader(NamedTuple):
    """Texts as a network reads them: normalised first where it learned so.

    Attributes:
        encode: the normalised texts' tokens.
        normalizer: None where texts are read as they are.
    """

    encode: Encode
    normalizer: Normalizer | None

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of each text, at least one of each."""
        return self.encode(texts if self.normalizer is None else self.normalizer(texts))

    def extent(self, text: str) -> int:
        """Characters that the network reads of a text, from the first on.

        Normalisation may make a text longer (``BP`` becomes 血压), so it comes first.
        """
        if self.normalizer is None:
            return self.encode.extent(text)
        read = self.normalizer.align(text)
        end = self.encode.extent(read.text)
        return len(text) if end == len(read.text) else read.to_original(0, end)[1]


def open_encoder(folder: Path, max_length: int) -> Encode:
    """The encoder of a package with a network."""
    if (folder / TOKENIZER).is_file():
        return SubwordEncoder(folder / TOKENIZER, max_length)
    return WordEncoder(folder / VOCABULARY, max_length)

"""Text for pretraining: files read once, tokenised once, kept as flat arrays on disk.

A passage is a line of a text file (plain, .gz or .xz; UTF-8), or the joined text of a record in
a folder that `emrobust prepare` wrote. Arrays are memory-mapped, so a corpus may be larger than
memory.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import lzma
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from emrobust import progress, records, runs
from emrobust.encoder import words
from emrobust.errors import ModelError, SourceError

_BATCH = 4096
_UNKNOWN_SHARE = 1 / 3
_OPENERS: dict[str, Callable[..., IO[str]]] = {".gz": gzip.open, ".xz": lzma.open}
_ARRAYS = {"ids": np.int32, "words": np.int32, "begins": np.bool_, "starts": np.int64}


class Corpus(NamedTuple):
    """Passages as tokens, one after another.

    Attributes:
        ids: token numbers, int32 [tokens], without special tokens.
        words: each token's word as a number in ``vocabulary``, int32 [tokens].
        begins: whether a token begins a word [tokens].
        starts: where each passage begins, and the end [passages + 1].
        vocabulary: the words, in the order of their first use.
    """

    ids: np.ndarray
    words: np.ndarray
    begins: np.ndarray
    starts: np.ndarray
    vocabulary: list[str]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each passage [passages]."""
        return np.diff(self.starts)


def read(sources: Sequence[Path]) -> Iterator[str]:
    """The passages of all sources, empty ones left out.

    Raises:
        SourceError: a source is missing, no text, or of another encoding.
    """
    for source in sources:
        if source.is_dir():
            yield from _records(source)
        else:
            yield from _lines(source)


def _records(folder: Path) -> Iterator[str]:
    # A prepared folder holds its stages in the order of their numbers.
    found = [*folder.glob(records.FILE), *sorted(folder.glob(f"*/{records.FILE}"), reverse=True)]
    if not found:
        raise SourceError(
            f"{folder} holds no {records.FILE}",
            "Give text files, or a folder that `emrobust prepare` wrote.",
        )
    for batch in records.read_batches(found[0]):
        yield from filter(None, map(str.strip, records.join_text(batch)))


def _lines(path: Path) -> Iterator[str]:
    if not path.is_file():
        raise SourceError(f"the corpus {path} does not exist")
    number = 0
    try:
        with _OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if "\0" in line:
                    raise SourceError(
                        f"{path} is no text: line {number} has zero bytes",
                        "Give UTF-8 text, one passage a line.",
                    )
                if text := line.strip():
                    yield text
    except UnicodeDecodeError:
        raise SourceError(
            f"{path} is not UTF-8 after line {number}",
            "Convert it, for instance with `iconv -f gb18030 -t utf-8`.",
        ) from None
    except (OSError, EOFError, lzma.LZMAError):
        raise SourceError(f"{path} cannot be read after line {number}: is it whole?") from None


def build(sources: Sequence[Path], tokenizer: Tokenizer, folder: Path) -> Corpus:
    """Tokenise the sources into ``folder``, or take what lies there when nothing has changed.

    Raises:
        SourceError: the sources hold no text.
        ModelError: the tokenizer does not know a third of the text.
    """
    facts = {
        "sources": [runs.checksum(source) for source in sources],
        "tokenizer": tokenizer.to_str(),
    }
    with contextlib.suppress(Exception):
        if runs.verify_manifest(folder) == facts:
            return load(folder)
    with runs.atomic_folder(folder) as partial:
        passages = _write(read(sources), tokenizer, partial)
        if not passages:
            raise SourceError("the corpus holds no text", "Give UTF-8 text, one passage a line.")
        runs.write_manifest(partial, facts)
    return load(folder)


def load(folder: Path) -> Corpus:
    """What `build` wrote, memory-mapped."""
    arrays = {
        name: np.memmap(folder / f"{name}.bin", dtype, "r") for name, dtype in _ARRAYS.items()
    }
    return Corpus(**arrays, vocabulary=runs.read_json(folder / "vocabulary.json"))


def _write(passages: Iterable[str], tokenizer: Tokenizer, folder: Path) -> int:
    vocabulary: dict[str, int] = {}
    unknown, end = 0, 0
    unknown_id = tokenizer.token_to_id("[UNK]") or tokenizer.token_to_id("<unk>")
    texts = iter(passages)
    count = 0
    with contextlib.ExitStack() as stack, progress.track("tokenising", None, "passages") as advance:
        files = {name: stack.enter_context((folder / f"{name}.bin").open("wb")) for name in _ARRAYS}
        np.zeros(1, np.int64).tofile(files["starts"])
        while chunk := list(itertools.islice(texts, _BATCH)):
            for text, encoding in zip(
                chunk, tokenizer.encode_batch(chunk, add_special_tokens=False), strict=True
            ):
                ids = np.array(encoding.ids, np.int32)
                numbers, begins = _find_words(text, encoding, vocabulary)
                end += len(ids)
                unknown += int((ids == unknown_id).sum())
                for name, values in (("ids", ids), ("words", numbers), ("begins", begins)):
                    values.astype(_ARRAYS[name]).tofile(files[name])
                np.array([end], np.int64).tofile(files["starts"])
            count += len(chunk)
            advance(len(chunk))
    if end and unknown > end * _UNKNOWN_SHARE:
        raise ModelError(
            f"the tokenizer does not know {unknown / end:.0%} of the corpus's tokens",
            "Its vocabulary is of another language or writing; choose another checkpoint, or"
            " pretrain from nothing without --from.",
        )
    runs.write_json(folder / "vocabulary.json", list(vocabulary))
    return count if end else 0


def _find_words(
    text: str, encoding: Any, vocabulary: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Each token's word as a number in ``vocabulary``, and whether it begins that word."""
    cut = words.cut(text)
    numbers = np.array([vocabulary.setdefault(word.lower(), len(vocabulary)) for word in cut])
    first = np.array([start for start, _ in encoding.offsets], np.int64)
    places = words.number_characters(cut)[first] if len(first) else first
    begins = np.append(True, places[1:] != places[:-1])[: len(places)]
    return numbers[places] if len(first) else first, begins

"""Texts as the split compares them: normalised, hashed, cut into character shingles."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from emrobust import records

# Four characters are two Chinese words or most of an English one.
SHINGLE = 4
_BATCH_ROWS = 4096
_WEIGHTS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], np.uint64
)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_HALF = np.uint64(32)


def normalise(text: str) -> str:
    """Width, case and white space are levelled; every other character counts."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def digest(text: str) -> int:
    """64 bits that are equal for texts that are equal once normalised."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def read(path: Path) -> Iterator[list[str]]:
    """Normalised texts of a records file in batches."""
    schema = records.read_schema(path)
    columns = [records.TEXT_PREFIX + name for name in records.text_fields(schema)]
    for batch in records.read_batches(path, columns, _BATCH_ROWS):
        yield [normalise(text) for text in records.join_text(batch)]


def digests(path: Path) -> np.ndarray:
    """Digests of all texts, uint64 [rows]."""
    found = [np.array([digest(t) for t in texts], np.uint64) for texts in read(path)]
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def shingles(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all runs of `SHINGLE` characters, repeats included.

    Args:
        texts: normalised texts; one shorter than a shingle is padded.

    Returns:
        hashes below 2³², uint64 [shingles of all texts], and where each text's begin, [texts].
    """
    padded = [text.ljust(SHINGLE, "\0") for text in texts]
    # Half a surrogate pair cannot be encoded; it still is a character to compare.
    joined = "".join(padded).encode("utf-32-le", "surrogatepass")
    points = np.frombuffer(joined, np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in padded])
    mixed = np.zeros(len(points) - SHINGLE + 1, np.uint64)
    for place, factor in enumerate(_WEIGHTS):
        mixed += points[place : place + len(mixed)] * factor
    mixed ^= mixed >> _HALF
    mixed *= _MIX
    mixed >>= _HALF
    # A window that starts in the last characters of a text would reach into the next.
    inside = np.ones(len(points), bool)
    ends = np.cumsum(lengths)
    for back in range(1, SHINGLE):
        inside[ends - back] = False
    starts = np.concatenate([[0], np.cumsum(lengths - SHINGLE + 1)[:-1]])
    return mixed[inside[: len(mixed)]], starts

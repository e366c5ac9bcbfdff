"""Characters of many texts at once, by tables over all code points: fold them, squeeze them."""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Table = npt.NDArray[np.uint32]
_GONE = 0  # in a table: the character is left out
_CJK = range(0x4E00, 0xA000)
_HANGUL = range(0xAC00, 0xD7A4)
_MARKS = "-‐‑‒–—―−﹣_·•‧∙・･"
_ALIKE = {"İ": "i", "ı": "i"}


def table_of(change: Callable[[str], str]) -> Table:
    """What every character becomes by a function, one for one; "" leaves it out."""
    table = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    for code in _changing():
        made = change(chr(code))
        table[code] = ord(made) if made else _GONE
    return table


@functools.cache
def _changing() -> tuple[int, ...]:
    """Code points that have another form; most Chinese characters have none."""
    planes = (range(1, 0x20000), range(0x2F800, 0x2FA20), range(0xE0000, 0xE0080))
    return tuple(c for plane in planes for c in plane if c not in _CJK and c not in _HANGUL)


@functools.cache
def widths() -> Table:
    """Every character's compatible form (NFKC), where that is one character."""
    return table_of(_narrow)


def _narrow(character: str) -> str:
    made = unicodedata.normalize("NFKC", character)
    return made if len(made) == 1 else character


@functools.cache
def squeezed() -> Table:
    """Characters without width and case; blanks, hyphens and dots are left out."""
    return table_of(_squeeze)


def _squeeze(character: str) -> str:
    if character.isspace() or character in _MARKS or unicodedata.category(character) == "Cf":
        return ""
    made = _ALIKE.get(character) or _narrow(character).casefold()
    return made if len(made) == 1 else character


def change_all(texts: Sequence[str], table: Table) -> list[str]:
    """Every text through a table that leaves nothing out."""
    joined = _join(texts, table)
    return list(_cut(joined, (len(text) for text in texts)))


def squeeze_all(texts: Sequence[str]) -> list[str]:
    """Every text through `squeezed`."""
    codes = _codes("".join(texts), squeezed())
    kept = codes != _GONE
    ends = np.cumsum([0, *map(len, texts)])
    sums = np.concatenate([[0], np.cumsum(kept)])[ends]
    joined = codes[kept].tobytes().decode("utf-32-le", "surrogatepass")
    return list(_cut(joined, np.diff(sums).tolist()))


def as_array(texts: Sequence[str]) -> pa.Array:
    """Texts for Arrow, with half surrogates, which are no characters, as question marks."""
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([text.encode("utf-8", "replace").decode() for text in texts], pa.string())


def _join(texts: Sequence[str], table: Table) -> str:
    joined = "".join(texts)
    return _codes(joined, table).tobytes().decode("utf-32-le", "surrogatepass")


def _codes(text: str, table: Table) -> Table:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    changed: Table = table[codes]
    return changed


def _cut(joined: str, sizes: Iterator[int] | Sequence[int]) -> Iterator[str]:
    start = 0
    for size in sizes:
        yield joined[start : start + size]
        start += size

"""Further synonyms from word vectors that the user gives, in word2vec's text format.

Nearest neighbours alone are no synonyms: 头痛 lies beside 头晕. A word is taken only if the
lexicon's term nearest to it is the very term it shall stand for, if the lexicon does not know it
as something else, and if the guards accept the pair.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from emrobust.errors import ConfigError
from emrobust.lexicon import Lexicon
from emrobust.lexicon.table import SHORTEST, Type
from emrobust.perturb.guards import check_row

_BATCH = 4096  # words whose vectors are in memory at a time
_MOST = 200_000  # words read; files list the frequent ones first
_EACH = 5  # neighbours kept of a term


def neighbours(
    path: Path, known: Lexicon, types: Iterable[Type], *, minimum_cosine: float
) -> dict[str, tuple[str, ...]]:
    """Terms of the lexicon → words of the file that may stand for them, the nearest first.

    Args:
        path: a text file: a line with count and dimensions, then a word and its numbers a line.
        known: the lexicon.
        types: semantic types of the terms.
        minimum_cosine: between the two.

    Raises:
        ConfigError: the file is missing or a line is wrong.
    """
    wanted = set(types)
    terms = [row for row in _read(path) if known.owners(row[0])]
    if not terms:
        return {}
    matrix = np.stack([vector for _, vector in terms])
    found: dict[str, list[tuple[float, str]]] = defaultdict(list)
    rows = (row for row in _read(path) if not known.owners(row[0]) and len(row[0]) >= SHORTEST)
    while batch := list(islice(rows, _BATCH)):
        cosines = np.stack([vector for _, vector in batch]) @ matrix.T
        for (word, _), place, cosine in zip(
            batch, cosines.argmax(axis=1), cosines.max(axis=1), strict=True
        ):
            term = terms[int(place)][0]
            owners = known.owners(term)
            if cosine < minimum_cosine or len(owners) > 1 or owners[0].type not in wanted:
                continue
            if check_row(term, word) is None:
                found[term].append((-float(cosine), word))
    return {term: tuple(word for _, word in sorted(of)[:_EACH]) for term, of in found.items()}


def _read(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Words and their vectors of length 1, as many as are used."""
    try:
        with path.open(encoding="utf-8") as file:
            size = _dimensions(path, next(file, ""))
            for number, line in enumerate(islice(file, _MOST), start=2):
                word, *cells = line.rstrip().split(" ")
                yield word, _vector(path, number, cells, size)
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"the word vectors {path} are missing or not in UTF-8.") from None


def _dimensions(path: Path, first: str) -> int:
    parts = first.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts) or int(parts[1]) == 0:
        raise ConfigError(
            f"{path}, line 1: there is no count of words and dimensions.",
            "Give a file in word2vec's text format.",
        )
    return int(parts[1])


def _vector(path: Path, number: int, cells: list[str], size: int) -> np.ndarray:
    try:
        vector = np.array(cells, dtype=np.float32)
    except ValueError:
        raise ConfigError(f"{path}, line {number}: a component is no number.") from None
    length = float(np.linalg.norm(vector))
    if len(vector) != size or not np.isfinite(length) or length == 0:
        raise ConfigError(f"{path}, line {number}: it has not {size} finite components.")
    return vector / length

"""Equal texts with different labels: at least one of them is wrong, or the text says too little.

Width, case and white space do not count, as in the split's leakage report.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from emrobust.split import texts as normalised


class Conflict(NamedTuple):
    """Rows with the same text.

    Attributes:
        rows: their places.
        labels: each label set among them → rows, the commonest first.
    """

    rows: tuple[int, ...]
    labels: tuple[tuple[tuple[str, ...], int], ...]


def find_conflicts(texts: Sequence[str], labels: Sequence[Sequence[str]]) -> list[Conflict]:
    """All texts that occur with more than one label set, the commonest first."""
    same: dict[int, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        same[normalised.digest(normalised.normalise(text))].append(row)
    found = []
    for rows in same.values():
        sets = Counter(tuple(sorted(labels[row])) for row in rows)
        if len(sets) > 1:
            found.append(Conflict(tuple(rows), tuple(sets.most_common())))
    return sorted(found, key=lambda conflict: (-len(conflict.rows), conflict.rows))

"""The changed text shares most character n-grams with the original."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from math import sqrt
from typing import Annotated

from pydantic import Field

from emrobust.attack.constraint import Constraint, Trial
from emrobust.registry import register


@register("constraint")
class Similarity(Constraint):
    """Cosine of the counts of character n-grams; needs no model.

    Args:
        minimum: smallest cosine.
        n: length of an n-gram.
    """

    def __init__(
        self,
        *,
        minimum: Annotated[float, Field(ge=0, le=1)] = 0.7,
        n: Annotated[int, Field(ge=1, le=5)] = 2,
    ) -> None:
        self.minimum = minimum
        self.n = n

    def allows(self, trials: Sequence[Trial]) -> list[bool]:
        """See `Constraint.allows`."""
        return [cosine(trial.text, trial.edited, self.n) >= self.minimum for trial in trials]


def cosine(first: str, second: str, n: int) -> float:
    """Cosine of two texts' n-gram counts; 1 for two texts that are shorter than n."""
    (one, size), (other, other_size) = _grams(first, n), _grams(second, n)
    if not size or not other_size:
        return float(size == other_size)
    shared = sum(number * one.get(gram, 0) for gram, number in other.items())
    return min(shared / (size * other_size), 1.0)


@functools.lru_cache(maxsize=1024)
def _grams(text: str, n: int) -> tuple[Counter[str], float]:
    """The counts and their length as a vector."""
    counts = Counter(text[place : place + n] for place in range(len(text) - n + 1))
    return counts, sqrt(sum(number * number for number in counts.values()))

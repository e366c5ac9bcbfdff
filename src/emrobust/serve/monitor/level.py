"""How bad it is: a difference has to be both large and surely no chance.

With few records the test decides, with many the size does: ten thousand records make any
difference significant, and a hundred make any histogram look different.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Level = Literal["calm", "watch", "alarm", "unknown"]
Floats: TypeAlias = NDArray[np.floating[Any]]

# Chance of a false watch or alarm, of one look at one family of tests.
WATCH_P, ALARM_P = 0.01, 0.001
_RANK: tuple[Level, ...] = ("unknown", "calm", "watch", "alarm")


class Limits(NamedTuple):
    """Sizes from which a difference is watched, and from which it is an alarm."""

    watch: float
    alarm: float


def judge(size: float, p: float, limits: Limits) -> Level:
    """The level of a difference of this size with this p-value."""
    if size >= limits.alarm and p < ALARM_P:
        return "alarm"
    return "watch" if size >= limits.watch and p < WATCH_P else "calm"


def worst(levels: Sequence[Level]) -> Level:
    """The worst of them; unknown where none is known."""
    return max(levels, key=rank, default="unknown")


def rank(level: Level) -> int:
    """0 for unknown, 1 for calm, 2 for watch, 3 for alarm."""
    return _RANK.index(level)

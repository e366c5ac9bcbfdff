"""What an attack wants of the model's answer, as a score that rises towards it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Case(NamedTuple):
    """A record before the attack.

    Attributes:
        names: the K labels, in column order.
        truth: its labels [K].
        probability: of the unchanged text [K].
        decided: what the model predicts for the unchanged text [K].
        thresholds: float64 [K]; None for a single-label model.
    """

    names: tuple[str, ...]
    truth: Mask
    probability: Floats
    decided: Mask
    thresholds: Floats | None


class Goal(ABC):
    """A component is one file with ``@register("goal")``; its settings are keyword-only.

    Attributes:
        task: the models that it is made for.
    """

    task: ClassVar[Literal["multi", "single", "both"]]

    @abstractmethod
    def attackable(self, case: Case) -> bool:
        """Whether there is anything to gain: the unchanged text must not reach the goal."""

    @abstractmethod
    def score(self, case: Case, probability: Floats) -> Floats:
        """How near these answers [n, K] come to the goal: [n], the higher the nearer."""

    @abstractmethod
    def reached(self, case: Case, probability: Floats) -> Mask:
        """Which of these answers [n, K] reach the goal: [n]."""


def cut(case: Case) -> Floats:
    """The thresholds of a multi-label model [K].

    Raises:
        ValueError: the model has none, so the goal is not for it.
    """
    if case.thresholds is None:
        raise ValueError("a goal of multi-label models was given a single-label one")
    return case.thresholds


def highest(values: Floats, mask: Mask) -> Floats:
    """The highest value of each row [n, K] among the columns of the mask; -∞ where it is empty."""
    best: Floats = np.where(mask, values, -np.inf).max(axis=1, initial=-np.inf)
    return best

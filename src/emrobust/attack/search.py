"""In which order an attack tries edits, and what it keeps.

A search is a generator: it yields what it wants to ask (`Ask`), gets a score for each, and ends
when it knows nothing more to try. It knows no model, no goal and no constraint, so searches of
many records run in step and share every pass of the model. Whoever drives it ends it at a success
or when the queries are spent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from random import Random
from typing import NamedTuple

from emrobust.attack.units import Unit
from emrobust.perturb import Edit

REFUSED = float("-inf")
Edits = tuple[Edit, ...]


class Ask(NamedTuple):
    """Changed texts that a search wants scores of.

    Attributes:
        trials: each the edits of one text, in order of place and without overlaps.
        probe: whether they only measure importance: constraints don't matter, and reaching the
            goal is no success.
    """

    trials: list[Edits]
    probe: bool = False


# What comes back for each trial: the goal's score, or `REFUSED` by a constraint.
Steps = Generator[Ask, list[float], None]


class Search(ABC):
    """A component is one file with ``@register("search")``; its settings are keyword-only."""

    @abstractmethod
    def steps(self, units: Sequence[Unit], start: float, random: Random) -> Steps:
        """Ask until nothing is left to try.

        Args:
            units: in order of place, each with at least one edit.
            start: score of the unchanged text.
            random: of this record.
        """


def add(taken: Edits, edit: Edit) -> Edits:
    """The edits with one more, in order of place."""
    return tuple(sorted((*taken, edit)))

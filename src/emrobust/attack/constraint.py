"""What a changed text must keep to be a fair attack."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from emrobust.perturb import Edit


class Trial(NamedTuple):
    """A changed text that is not yet shown to the model.

    Attributes:
        text: the original.
        edits: settled; offsets into the original.
        edited: the text after them.
    """

    text: str
    edits: tuple[Edit, ...]
    edited: str


class Constraint(ABC):
    """A component is one file with ``@register("constraint")``; its settings are keyword-only.

    It judges trials of many records at once, so that one that needs a model can batch them.
    """

    @abstractmethod
    def allows(self, trials: Sequence[Trial]) -> list[bool]:
        """Which of the trials are allowed, each judged by itself."""

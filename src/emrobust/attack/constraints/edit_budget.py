"""No more is changed than a share of the characters or words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from emrobust.attack.constraint import Constraint, Trial
from emrobust.attack.units import count_words
from emrobust.perturb import Edit
from emrobust.registry import register

Share = Annotated[float, Field(gt=0, le=1)]


@register("constraint")
class EditBudget(Constraint):
    """One edit of one character or word is allowed in every text, however short.

    Args:
        characters: share of the original's characters that may be touched.
        words: share of the original's words; each edit counts as one.
        edits: most edits of a text.
    """

    def __init__(
        self,
        *,
        characters: Share | None = None,
        words: Share | None = None,
        edits: Annotated[int, Field(ge=1)] | None = None,
    ) -> None:
        self.characters = characters
        self.words = words
        self.edits = edits

    def allows(self, trials: Sequence[Trial]) -> list[bool]:
        """See `Constraint.allows`."""
        return [self._allows(trial) for trial in trials]

    def _allows(self, trial: Trial) -> bool:
        text, edits = trial.text, trial.edits
        if self.edits is not None and len(edits) > self.edits:
            return False
        if self.words is not None and len(edits) > max(1, int(self.words * count_words(text))):
            return False
        if self.characters is None:
            return True
        return count_changed(text, edits) <= max(1, int(self.characters * len(text)))


def count_changed(text: str, edits: Sequence[Edit]) -> int:
    """Characters that the edits touch: of each, the longer of what goes and what comes.

    What an edit leaves as it was at its edges does not count: 咳嗽 → 咳漱 is one.
    """
    return sum(_size(text[start:end], new) for start, end, new in edits)


def _size(old: str, new: str) -> int:
    short = min(len(old), len(new))
    head = 0
    while head < short and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < short - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return max(len(old), len(new)) - head - tail

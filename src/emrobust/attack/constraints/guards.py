"""What carries the label stays: negation, doubt, side, number, dose, drug, test, history."""

from __future__ import annotations

from collections.abc import Sequence

from emrobust import perturb
from emrobust.attack.constraint import Constraint, Trial
from emrobust.registry import register


@register("constraint")
class Guards(Constraint):
    """The guards of `emrobust.perturb`, on all edits of a text together."""

    def allows(self, trials: Sequence[Trial]) -> list[bool]:
        """See `Constraint.allows`."""
        return [perturb.permits(trial.text, trial.edits) for trial in trials]

"""Perturbations of clinical text that leave alone whatever carries the label.

    perturb → perturbation (one kind of edit a file) → edits
            ↘ guards → amounts → tokens (tables/)

A perturbation proposes edits of a text; the guards refuse those that would change what the
text tells: negation, doubt, side, number, dose, drug, test, history, and whoever is meant.
"""

from emrobust.perturb.edits import Edit, Offsets, apply
from emrobust.perturb.guards import Facts, check_row, facts, permits, protected
from emrobust.perturb.perturb import Perturbed, perturb, perturb_all
from emrobust.perturb.perturbation import Perturbation

__all__ = [
    "Edit",
    "Facts",
    "Offsets",
    "Perturbation",
    "Perturbed",
    "apply",
    "check_row",
    "facts",
    "permits",
    "perturb",
    "perturb_all",
    "protected",
]

"""Perturbations of clinical text that leave alone whatever carries the label.

    perturbation → guards → edits

One kind of edit a file; `perturb` proposes, judges and applies.
"""

from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Perturbation

__all__ = ["Edit", "Perturbation"]

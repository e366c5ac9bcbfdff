"""Labels that are likely wrong, texts without support in training, duplicates that disagree.

folds      what a quick model says about rows that it did not learn from
mislabels  rows whose labels it would exchange
support    rows that nothing in training is like
conflicts  equal texts with different labels
review     a sheet for a clinician, and the corrections back in
"""

from emrobust.quality.conflicts import Conflict, find_conflicts
from emrobust.quality.folds import out_of_fold
from emrobust.quality.mislabels import Found, Suspect, find_mislabels
from emrobust.quality.support import Support, find_unsupported

__all__ = [
    "Conflict",
    "Found",
    "Support",
    "Suspect",
    "find_conflicts",
    "find_mislabels",
    "find_unsupported",
    "out_of_fold",
]

"""Parts of the records: is the model as good for each, and where does it fail?

groups    → each record's sex, age band, department, site, year and text length
fairness  → scores of each group, gaps to the others with intervals, labels by frequency
discovery → groups that nobody named: found on one half of the patients, measured on the other
"""

from emrobust.evaluate.slices.discovery import Discovery, Found, discover
from emrobust.evaluate.slices.fairness import (
    Bucket,
    Fairness,
    Group,
    measure_buckets,
    measure_groups,
)
from emrobust.evaluate.slices.groups import aspects_of

__all__ = [
    "Bucket",
    "Discovery",
    "Fairness",
    "Found",
    "Group",
    "aspects_of",
    "discover",
    "measure_buckets",
    "measure_groups",
]

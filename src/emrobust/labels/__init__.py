"""Labels: ICD-10 codes or plain strings become the classes that a model learns.

`aggregate` runs before the split and looks at no counts; `select` runs after it and decides
rare classes from the training rows; `conform` gives another table the label set of a run.
"""

from emrobust.labels.aggregate import aggregate
from emrobust.labels.icd10 import Code, parse, parse_combination
from emrobust.labels.select import LabelSet, conform, read_label_set, select

__all__ = [
    "Code",
    "LabelSet",
    "aggregate",
    "conform",
    "parse",
    "parse_combination",
    "read_label_set",
    "select",
]

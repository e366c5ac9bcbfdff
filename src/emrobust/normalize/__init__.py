"""Texts in one way of writing, with the way back to the original.

A step is one file and one decorator, ``@register("normalizer")``; its words lie in ``tables/``.
"""

from emrobust.normalize.alignment import Edit, Normalized, Origin
from emrobust.normalize.normalizer import Normalizer, names_for
from emrobust.normalize.sections import Section, Sections
from emrobust.normalize.step import Step
from emrobust.normalize.typos import Scorer

__all__ = [
    "Edit",
    "Normalized",
    "Normalizer",
    "Origin",
    "Scorer",
    "Section",
    "Sections",
    "Step",
    "names_for",
]

"""Placeholder: a word for the kind, such as [PATIENT_NAME]."""

from __future__ import annotations

from typing import final

from emrobust.deid.operator import Operator, Subject
from emrobust.placeholders import PLACEHOLDERS
from emrobust.registry import register


@register("operator")
@final
class Placeholder(Operator):
    """The word that the tokenizer keeps whole and every room knows."""

    def replace(self, value: str, kind: str, subject: Subject) -> str:
        """The kind's placeholder."""
        return PLACEHOLDERS[kind]

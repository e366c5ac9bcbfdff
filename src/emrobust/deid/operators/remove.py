"""Remove: nothing stands in its place."""

from __future__ import annotations

from typing import final

from emrobust.deid.operator import Operator, Subject
from emrobust.registry import register


@register("operator")
@final
class Remove(Operator):
    """Leaves nothing; the words around it close up."""

    def replace(self, value: str, kind: str, subject: Subject) -> str:
        """The empty text."""
        return ""

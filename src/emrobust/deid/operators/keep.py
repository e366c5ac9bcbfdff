"""Keep: counted and explained, but left as it is."""

from __future__ import annotations

from typing import final

from emrobust.deid.operator import Operator, Subject
from emrobust.registry import register


@register("operator")
@final
class Keep(Operator):
    """Leaves the value, for kinds that a project needs and may keep, such as departments."""

    def replace(self, value: str, kind: str, subject: Subject) -> str:
        """The value itself."""
        return value

"""Arrows behind a finding in words: WBC↑ → 白细胞升高, 血压↓ → 血压降低, ↑↑ → 明显升高."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.normalize.alignment import Edit
from emrobust.normalize.step import HAN, Step
from emrobust.registry import register

_ARROWS = re.compile(rf"(?<=[{HAN}A-Za-z0-9%)）²])(?:(↑+)|(↓+))(?![↑↓])")


@register("normalizer")
class Arrows(Step):
    """Up and down in words."""

    order: ClassVar[int] = 80
    back_to: ClassVar[int | None] = 60

    def edits(self, text: str) -> list[Edit]:
        """See `Step.edits`."""
        if "↑" not in text and "↓" not in text:
            return []
        return [
            Edit(
                match.start(),
                match.end(),
                ("明显" if len(match[0]) > 1 else "") + ("升高" if match[1] else "降低"),
            )
            for match in _ARROWS.finditer(text)
        ]

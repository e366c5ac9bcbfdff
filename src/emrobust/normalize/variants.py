"""Traditional characters → simplified ones, by a table made of OpenCC's.

Only characters that simplified Chinese does not have are converted by themselves, so that
显著 does not become 显着; 乾, 著, 瞭 … are converted inside known clinical words.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from emrobust.normalize.alignment import Edit
from emrobust.normalize.step import Step, alternatives, rows
from emrobust.registry import register

FILE = "variants.csv"


@register("normalizer")
class Variants(Step):
    """Characters by a table, words before characters."""

    order: ClassVar[int] = 20
    files: ClassVar[tuple[str, ...]] = (FILE,)

    def __init__(self, tables: Path | None = None) -> None:
        super().__init__(tables)
        pairs = {row["traditional"]: row["simplified"] for _, row in rows(self.table(FILE))}
        single = {key: value for key, value in pairs.items() if len(key) == 1}
        self._words = {key: value for key, value in pairs.items() if len(key) > 1}
        self._characters = str.maketrans(single)
        known = "".join(map(re.escape, single))
        # `re` skips ahead to a leading class, but not to a repeated one.
        self._runs = re.compile(f"[{known}][{known}]*")
        self._known = re.compile(alternatives(self._words))

    def edits(self, text: str) -> list[Edit]:
        """See `Step.edits`."""
        found = [
            Edit(match.start(), match.end(), self._words[match[0]])
            for match in self._known.finditer(text)
        ]
        taken = [(start, end) for start, end, _ in found]
        for match in self._runs.finditer(text):
            start, end = match.span()
            if not any(first < end and start < last for first, last in taken):
                found.append(Edit(start, end, match[0].translate(self._characters)))
        return sorted(found)

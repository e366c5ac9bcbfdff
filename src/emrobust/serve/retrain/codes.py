"""Classes back to codes, so that the new table has the hospital's own kind of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from emrobust.config import Labels
from emrobust.labels.aggregate import OTHER, mapper
from emrobust.labels.table import read


@final
class Codes:
    """Finds a code for a class.

    Args:
        settings: ``[labels]`` of the project.
    """

    def __init__(self, settings: Labels) -> None:
        self._map = mapper(settings)
        self._of_class: dict[str, str] = {}
        if settings.table is not None:
            for code, name in read(settings.table, settings.kind).classes.items():
                if self._map(code).classes == (name,):
                    self._of_class.setdefault(name, code)

    def classes(self, code: str) -> tuple[str, ...]:
        """The classes of a code."""
        return self._map(code).classes

    def of(self, name: str, own: Sequence[str] = ()) -> list[str]:
        """Codes of a class; none where there is none, as for `other`.

        Args:
            name: of the class.
            own: the row's codes; those of the class are kept, since they say more.
        """
        kept = [code for code in own if name in self.classes(code)]
        if kept:
            return kept
        # Where labels are plain, `other` would pass for one; it stands for many.
        code = self._of_class.get(name, "" if name == OTHER else name)
        return [code] if self.classes(code) == (name,) else []

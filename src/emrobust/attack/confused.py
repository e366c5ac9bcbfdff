"""All edits that a table of confusions allows: what homophone and glyph share."""

from __future__ import annotations

from collections.abc import Mapping

from emrobust.perturb import Edit


def edits(
    text: str, table: Mapping[str, tuple[str, ...]], *, each: int, longest: int
) -> list[Edit]:
    """Edits at every place, whole words before characters.

    Args:
        text: the original.
        table: as `perturb.confusions.load` returns it.
        each: candidates of a term.
        longest: characters of a term.
    """
    return [
        Edit(place, place + size, other)
        for place in range(len(text))
        for size in range(min(longest, len(text) - place), 0, -1)
        for other in table.get(text[place : place + size], ())[:each]
    ]

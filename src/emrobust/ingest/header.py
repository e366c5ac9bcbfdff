"""From the columns that a project file names to their places in a source's header."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Sequence

from emrobust.config import Columns
from emrobust.errors import ColumnsError

# A longer name is likelier a sentence of a table without a header.
_LONGEST_NAME = 40
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060\xad"))


def key(name: str) -> str:
    """What two names of one column share: no edges, one width, no case, nothing invisible."""
    return unicodedata.normalize("NFKC", name.translate(_INVISIBLE)).strip().casefold()


def locate(
    named: Sequence[str], header: Sequence[str], source: str, top: Sequence[Sequence[str]] = ()
) -> dict[str, int]:
    """The place of every named column.

    A header that is the name exactly comes before one that only resembles it.

    Args:
        named: columns that the project file names.
        header: the names in the source.
        source: what the user calls the source.
        top: the cells of the source's first rows, where the header may stand in one of them.

    Raises:
        ColumnsError: lists every named column that is missing or there twice. Where none is there,
            the first row may be a record, so nothing of it is told, not even what nearly is a name.
    """
    problems = []
    places = {}
    names = [h.strip() for h in header if len(h.strip()) <= _LONGEST_NAME]
    knows = any(key(name) in map(key, header) for name in named)
    for name in named:
        exact = [place for place, found in enumerate(header) if found == name]
        found = exact or [place for place, found in enumerate(header) if key(found) == key(name)]
        if len(found) == 1:
            places[name] = found[0]
        elif found:
            at = ", ".join(str(place + 1) for place in found)
            problems.append(f"the column `{name}` is there {len(found)} times (columns {at}).")
        else:
            # Half alike is near: Chinese names have two characters.
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5) if knows else ()
            suggestion = f" Did you mean `{near[0]}`?" if near else ""
            problems.append(f"the column `{name}` is missing.{suggestion}")
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        known = f"Its columns are: {', '.join(names[:100])}."
        raise ColumnsError(
            f"{source} does not have the columns that [source.columns] names:\n{lines}",
            known if knows else _advice(named, top),
            [name for name in named if name not in places],
        )
    return places


def _advice(named: Sequence[str], top: Sequence[Sequence[str]]) -> str:
    """What to do where no name of the header fits; tells the number of a row alone."""
    wanted = set(map(key, named))
    fit = [len(wanted.intersection(map(key, row))) for row in top]
    best = max(fit, default=0)
    if 2 * best < len(wanted):
        return "Does its first row hold the columns' names? No name fits."
    # The last of those alike: rows that are blank count as the row below them.
    row = len(fit) - fit[::-1].index(best)
    instead = ", or delete the rows above that one" if row > 1 else ""
    return f"Set header_row = {row} in [source]{instead}."


def lighten(named: Columns, header: Sequence[str]) -> tuple[Columns, list[str]]:
    """The columns without those that a prediction can do without and the header lacks.

    Returns:
        the columns that are left, and the names of the others.
    """
    there = {key(name) for name in header}
    needed = {named.record_id, *named.text}
    known = [name for names in named.identifiers.values() for name in names]
    optional = dict.fromkeys([*named.of_source(), *known])
    absent = [name for name in optional if name not in needed and key(name) not in there]
    return named.without(absent), absent


def others(header: Sequence[str], places: Collection[int]) -> list[str]:
    """The names of the columns that are not at these places: they are dropped at the door."""
    return [
        name.strip() if name.strip() and len(name) <= _LONGEST_NAME else f"column {place + 1}"
        for place, name in enumerate(header)
        if place not in places
    ]

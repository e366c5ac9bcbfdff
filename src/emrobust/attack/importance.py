"""Word importance ranking: how much the score rises when a unit is hidden."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from random import Random
from typing import Literal

from emrobust.attack.search import Ask, Edits
from emrobust.attack.units import Unit
from emrobust.perturb import Edit

Importance = Literal["delete", "unk", "random"]
UNKNOWN = "[UNK]"


def rank(
    units: Sequence[Unit], by: Importance, random: Random
) -> Generator[Ask, list[float], list[Unit]]:
    """The units, the most important first; one query for each unless the order is random.

    Args:
        units: in order of place.
        by: the unit is left out (`delete`), replaced by an unknown token (`unk`, as TextAttack
            does by default), or not looked at (`random`, which costs no query).
        random: of this record.
    """
    if by == "random":
        return random.sample(list(units), len(units))
    hidden = UNKNOWN if by == "unk" else ""
    probes: list[Edits] = [(Edit(unit.start, unit.end, hidden),) for unit in units]
    scores = yield Ask(probes, probe=True)
    order = sorted(range(len(units)), key=lambda place: -scores[place])
    return [units[place] for place in order]

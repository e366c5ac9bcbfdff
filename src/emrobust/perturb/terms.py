"""Replaces terms of the lexicon and measures: what synonym, colloquial and abbreviation share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random

from emrobust import lexicon
from emrobust.lexicon import Register
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps

Swaps = Mapping[str, tuple[str, ...]]
# A place in a text with what may stand there instead.
Place = tuple[int, int, tuple[str, ...]]


def join(tables: Iterable[Swaps]) -> Swaps:
    """Several tables as one; a term has the words of all of them."""
    found: dict[str, tuple[str, ...]] = {}
    for table in tables:
        for term, others in table.items():
            found[term] = tuple(dict.fromkeys((*found.get(term, ()), *others)))
    return found


def places(text: str, swaps: Swaps) -> list[Place]:
    """Where terms stand that have something to be replaced by."""
    return [
        (start, end, swaps[form]) for start, end, form in lexicon.load().find(text) if form in swaps
    ]


def measures(text: str, ways: Mapping[Register, Register]) -> list[Place]:
    """Where measures stand that can be written in another register.

    Args:
        text: the original.
        ways: register as it stands → register to write.
    """
    known = lexicon.load_measures()
    found = []
    for reading in known.find(text):
        target = ways.get(reading.register)
        if target is not None and (others := known.write(reading, target)):
            written = others[:1] if target == "formal" else others
            found.append((reading.start, reading.end, tuple(written)))
    return found


def replace(found: list[Place], gaps: Gaps, random: Random) -> list[Edit]:
    """Edits at some of the places, each with one of its words."""
    draw = random.random
    return [
        Edit(start, end, others[int(draw() * len(others))])
        for start, end, others in map(found.__getitem__, gaps.pick(len(found), random))
    ]

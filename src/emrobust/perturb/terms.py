"""Replaces terms of the lexicon and measures: what synonym, colloquial and abbreviation share."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from random import Random

from emrobust import lexicon
from emrobust.lexicon import Register
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps

_VALUE = re.compile(r"[ :：为]{0,2}[0-9]")
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
    """Where terms stand that have something to be replaced by.

    A vital sign's name with its value (血压120/80) is a measure, and none of these.
    """
    vitals = _vitals()
    return [
        (start, end, swaps[form])
        for start, end, form in lexicon.load().find(text)
        if form in swaps and not (form in vitals and _VALUE.match(text, end))
    ]


@functools.cache
def _vitals() -> frozenset[str]:
    """All words for vital signs."""
    entries = lexicon.load().entries
    return frozenset(form for entry in entries if entry.type == "vital" for form in entry.forms)


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


def replace(text: str, found: list[Place], gaps: Gaps, random: Random) -> list[Edit]:
    """Edits at some of the places, each with one of its words."""
    draw = random.random
    return [
        _edit(text, start, end, others[int(draw() * len(others))])
        for start, end, others in map(found.__getitem__, gaps.pick(len(found), random))
    ]


def _edit(text: str, start: int, end: int, new: str) -> Edit:
    """An edit that takes 史 with it where it becomes 病史: a guarded word is replaced whole."""
    if new[-1] == "病" and text[end : end + 1] == "史":
        return Edit(start, end + 1, f"{new}史")
    return Edit(start, end, new)

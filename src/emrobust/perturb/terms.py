"""Replaces terms of the lexicon and measures: what synonym, colloquial and abbreviation share."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import NamedTuple

from emrobust import lexicon
from emrobust.lexicon import Reading, Register
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps

_VALUE = re.compile(r"[ :：为]{0,2}[0-9]")
Swaps = Mapping[str, tuple[str, ...]]


class Rewriting(NamedTuple):
    """A measure and the register to write it in."""

    reading: Reading
    register: Register


# A place in a text with what may stand there instead.
Place = tuple[int, int, tuple[str, ...] | Rewriting]


def join(tables: Iterable[Swaps]) -> Swaps:
    """Several tables as one; a term has the words of all of them."""
    found: dict[str, tuple[str, ...]] = {}
    for table in tables:
        for term, others in table.items():
            found[term] = tuple(dict.fromkeys((*found.get(term, ()), *others)))
    return found


class Table:
    """What terms are replaced by, laid out by the numbers that the lexicon finds them under.

    Args:
        swaps: term of the lexicon → what may stand for it.
    """

    def __init__(self, swaps: Swaps) -> None:
        self.swaps = swaps
        words = lexicon.load().words
        self._others = [swaps.get(word, ()) for word in words]
        vitals = _vitals()
        self._vital = [word in vitals and word in swaps for word in words]

    def places(self, text: str) -> list[Place]:
        """Where terms stand that have something to be replaced by.

        A vital sign's name with its value (血压120/80) is a measure, and none of these.
        """
        others, vital = self._others, self._vital
        return [
            (start, end, others[number])
            for number, start, end in lexicon.load().spot(text)
            if others[number] and not (vital[number] and _VALUE.match(text, end))
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
    return [
        (reading.start, reading.end, Rewriting(reading, target))
        for reading in known.find(text)
        if (target := ways.get(reading.register)) is not None and known.has(reading, target)
    ]


def replace(text: str, found: list[Place], gaps: Gaps, random: Random) -> list[Edit]:
    """Edits at some of the places, each with one of its words."""
    draw = random.random
    edits = []
    for start, end, others in map(found.__getitem__, gaps.pick(len(found), random)):
        words = _write(others)
        edits.append(_edit(text, start, end, words[int(draw() * len(words))]))
    return edits


def _write(others: tuple[str, ...] | Rewriting) -> Sequence[str]:
    """What may be written: for measures only now, since most places are not picked."""
    if not isinstance(others, Rewriting):
        return others
    written = lexicon.load_measures().write(others.reading, others.register)
    return written[:1] if others.register == "formal" else written


def _edit(text: str, start: int, end: int, new: str) -> Edit:
    """An edit that takes 史 with it where it becomes 病史: a guarded word is replaced whole."""
    if new[-1] == "病" and text[end : end + 1] == "史":
        return Edit(start, end + 1, f"{new}史")
    return Edit(start, end, new)

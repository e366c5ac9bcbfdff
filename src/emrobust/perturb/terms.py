"""Replaces terms of the lexicon and measures: what synonym, colloquial and abbreviation share."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random

from emrobust import lexicon
from emrobust.lexicon import Lexicon, Number, Register
from emrobust.lexicon.table import fail, where
from emrobust.perturb.edits import Edit
from emrobust.perturb.guards import check_row
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


@functools.lru_cache(maxsize=4)
def load(folder: Path | None) -> Lexicon:
    """The shipped lexicon, or one with a folder's tables, once the guards have accepted its rows.

    Raises:
        ConfigError: the folder has no table, or a row is wrong or changes a guarded fact; all
            such rows with file and line.
    """
    if folder is None:
        return lexicon.load()
    known = lexicon.load(folder)
    shipped = {entry._replace(line=0) for entry in lexicon.load().entries}
    problems = [
        f"{where(folder, f'{entry.type}.csv', entry.line)}: {reason}"
        for entry in known.entries
        if entry._replace(line=0) not in shipped
        for variant in entry.variants
        if (reason := check_row(entry.formal, variant) or check_row(variant, entry.formal))
    ]
    fail(list(dict.fromkeys(problems)))
    return known


class Table:
    """What terms are replaced by, laid out by the numbers that the lexicon finds them under.

    Args:
        swaps: term of the lexicon → what may stand for it.
        known: the lexicon.
        ways: register in which a measure stands → register to write; absent: none is written.
        folder: the user's, whose measures are in the place of the shipped ones.

    Raises:
        ConfigError: the table of measures is wrong.
    """

    def __init__(
        self,
        swaps: Swaps,
        known: Lexicon,
        ways: Mapping[Register, Register] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.swaps = swaps
        self.ways = ways or {}
        self._measures = lexicon.load_measures(folder) if folder else lexicon.load_measures()
        self._spot = known.spot
        self._others = [swaps.get(word, ()) for word in known.words]
        vitals = {word for of in known.entries if of.type == "vital" for word in of.forms}
        self._vital = [word in vitals and word in swaps for word in known.words]

    def places(self, text: str) -> list[Place]:
        """Where terms stand that have something to be replaced by.

        A vital sign's name with its value (血压120/80) is a measure, and none of these.
        """
        others, vital = self._others, self._vital
        return [
            (start, end, others[number])
            for number, start, end in self._spot(text)
            if others[number] and not (vital[number] and _VALUE.match(text, end))
        ]

    def measure(self, text: str, candidates: Sequence[Number], which: int) -> Place | None:
        """A number's measure in another register; None if it is no measure, or has no other."""
        reading = self._measures.read(text, candidates, which)
        target = None if reading is None else self.ways.get(reading.register)
        if reading is None or target is None or not self._measures.has(reading, target):
            return None
        written = self._measures.write(reading, target)
        return reading.start, reading.end, tuple(written[:1] if target == "formal" else written)


def replace(text: str, table: Table, gaps: Gaps, random: Random) -> list[Edit]:
    """Edits at some of the terms and measures, each with one of its words.

    Args:
        text: the original.
        table: of the terms, and of how measures are written.
        gaps: picks among the places.
        random: draws them and their words.
    """
    found = table.places(text)
    # Numbers are picked before they are read, since most are not picked.
    candidates = lexicon.find_numbers(text) if table.ways else []
    edits = []
    for which in gaps.pick(len(found) + len(candidates), random):
        if which < len(found):
            start, end, words = found[which]
        elif (place := table.measure(text, candidates, which - len(found))) is not None:
            start, end, words = place
        else:
            continue
        edits.append(_edit(text, start, end, words[int(random.random() * len(words))]))
    return edits


def _edit(text: str, start: int, end: int, new: str) -> Edit:
    """An edit that takes 史 with it where it becomes 病史: a guarded word is replaced whole."""
    if new[-1] == "病" and text[end : end + 1] == "史":
        return Edit(start, end + 1, f"{new}史")
    return Edit(start, end, new)

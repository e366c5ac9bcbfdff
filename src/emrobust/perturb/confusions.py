"""Tables of what is written by mistake: a character or word, and its others by rank."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from random import Random

from emrobust.errors import ConfigError
from emrobust.lexicon.table import Use, serves
from emrobust.perturb.edits import Edit
from emrobust.perturb.tokens import TABLES

_LONGEST = 3  # characters of a term


@functools.cache
def load(name: str, use: Use = "all") -> Mapping[str, tuple[str, ...]]:
    """The table ``tables/NAME.csv`` with the columns term and others (separated by ``|``).

    Args:
        name: of the table.
        use: pairs of the training partition, of the one held out for robustness suites, or all;
            a hash of the pair alone decides, as in the lexicon.

    Raises:
        ConfigError: it is missing, or a term is confused with itself.
    """
    path = TABLES / f"{name}.csv"
    found: dict[str, tuple[str, ...]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                others = tuple(row["others"].split("|"))
                if row["term"] in others or "" in others:
                    raise ConfigError(f"{path}, row {number}: the term is among its others.")
                if kept := tuple(other for other in others if serves(row["term"] + other, use)):
                    found[row["term"]] = kept
    except (OSError, KeyError, UnicodeDecodeError):
        raise ConfigError(f"the table {path} cannot be read.") from None
    return found


def confuse(
    text: str, places: list[int], table: Mapping[str, tuple[str, ...]], random: Random, words: float
) -> list[Edit]:
    """Edits that put another for the term at each place, the first ones most often.

    Args:
        text: the original.
        places: ascending offsets.
        table: as `load` returns it.
        random: the generator.
        words: P(a whole word is taken where one begins).
    """
    edits: list[Edit] = []
    done = 0
    draw = random.random
    for place in places:
        if place < done:
            continue
        size = 1
        others = table.get(text[place])
        if words and draw() < words:
            for longer in range(min(_LONGEST, len(text) - place), 1, -1):
                if (of_word := table.get(text[place : place + longer])) is not None:
                    size, others = longer, of_word
                    break
        if others is not None:
            done = place + size
            edits.append(Edit(place, done, others[int(draw() * draw() * len(others))]))
    return edits

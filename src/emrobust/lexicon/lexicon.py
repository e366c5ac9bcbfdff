"""Finds the lexicon's terms in a text, and says what may stand for each."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable
from operator import add
from pathlib import Path
from typing import NamedTuple

from emrobust.lexicon.table import (
    FOLDER,
    SHORTEST,
    Entry,
    Register,
    Type,
    Use,
    cells,
    fail,
    read,
    serves,
)

SHIELD = "shield.csv"
# What a word in Latin letters may not touch: AGE is no gastroenteritis in [AGE].
_LATIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_[]")


class Match(NamedTuple):
    """A term in a text.

    Attributes:
        start: offset of its first character.
        end: offset behind its last.
        form: the term as it stands there.
    """

    start: int
    end: int
    form: str


class Lexicon:
    """Concepts with a matcher.

    Args:
        entries: as `table.read` returns them.
        shield: words that are matched and never replaced, so that nothing inside them is
            (感冒 in 感冒灵).
    """

    def __init__(self, entries: Iterable[Entry], shield: Iterable[str] = ()) -> None:
        self.entries = tuple(entries)
        owners: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            for form in entry.forms:
                owners[form].append(entry)
        self._owners = {form: tuple(of) for form, of in owners.items()}
        self._words = frozenset(owners) | frozenset(shield)
        self._latin = frozenset(w for w in self._words if w[0] in _LATIN or w[-1] in _LATIN)
        lengths: dict[str, set[int]] = defaultdict(set)
        for word in self._words:
            lengths[word[:SHORTEST]].add(len(word))
        self._lengths = {head: sorted(of, reverse=True) for head, of in lengths.items()}

    def owners(self, form: str) -> tuple[Entry, ...]:
        """The concepts that a word may mean: more than one where it is ambiguous (LDH)."""
        return self._owners.get(form, ())

    def find(self, text: str) -> list[Match]:
        """Terms from left to right, the longest at each place; no match lies inside another.

        A term in Latin letters must stand free of other letters and digits.
        """
        found: list[Match] = []
        done = 0
        known, latin = self._words, self._latin
        # Two nested maps look up all pairs of characters without a step of the interpreter.
        for at, sizes in enumerate(map(self._lengths.get, map(add, text, text[1:]))):
            if sizes is None or at < done:
                continue
            for size in sizes:
                form = text[at : at + size]
                # At the text's end a form is shorter than the size that was asked for.
                if form in known and (form not in latin or _is_free(text, at, at + len(form))):
                    done = at + len(form)
                    found.append(Match(at, done, form))
                    break
        return found

    def swaps(
        self, types: Iterable[Type], source: Register, target: Register, use: Use
    ) -> dict[str, tuple[str, ...]]:
        """Words of a register → what of another register may stand for them.

        Ambiguous words are neither replaced nor written. A pair of two formal words that are
        both variants belongs to the partition of the one that is written.

        Args:
            types: semantic types.
            source: register of the words to be replaced.
            target: register of the words to write; formal from another register means the
                formal term itself, not its synonyms.
            use: the partition that the pairs are from.
        """
        wanted = set(types)
        found: dict[str, tuple[str, ...]] = {}
        for entry in self.entries:
            if entry.type not in wanted:
                continue
            for form in entry.of(source):
                if len(self._owners[form]) == 1:
                    others = self._others(entry, form, source, target, use)
                    if others:
                        found[form] = others
        return found

    def _others(
        self, entry: Entry, form: str, source: Register, target: Register, use: Use
    ) -> tuple[str, ...]:
        if target == "formal" and source != "formal":
            return (entry.formal,) if serves(form, use) else ()
        return tuple(
            other
            for other in entry.of(target)
            if other != form
            and len(self._owners[other]) == 1
            and serves(form if other == entry.formal else other, use)
        )


def _is_free(text: str, start: int, end: int) -> bool:
    """Whether Latin letters at the edges of a term end there."""
    if text[start] in _LATIN and start and text[start - 1] in _LATIN:
        return False
    return not (text[end - 1] in _LATIN and end < len(text) and text[end] in _LATIN)


@functools.lru_cache(maxsize=4)
def load(folder: Path = FOLDER) -> Lexicon:
    """The shipped lexicon, or one from a folder of the user's with the same files.

    Raises:
        ConfigError: a table is missing or a row is wrong; all problems with their lines.
    """
    entries = read(folder)
    shield = _read_shield(folder, {form for entry in entries for form in entry.forms})
    return Lexicon(entries, shield)


def _read_shield(folder: Path, terms: set[str]) -> list[str]:
    problems, words = [], []
    for line, row in cells(folder / SHIELD, ("word", "reason")):
        words.append(row["word"])
        if len(row["word"]) < SHORTEST:
            problems.append(f"{SHIELD}, line {line}: the word is shorter than two characters.")
        if row["word"] in terms:
            problems.append(f"{SHIELD}, line {line}: the word is a term of the lexicon.")
    fail(problems)
    return words

"""Finds the lexicon's terms in a text, and says what may stand for each."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick, MatchKind

from emrobust.lexicon.table import (
    FOLDER,
    SHIELD,
    SHORTEST,
    Entry,
    Register,
    Type,
    Use,
    cells,
    fail,
    find_table,
    read,
    serves,
)

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

    Attributes:
        entries: the concepts.
        words: all that is matched, the shield too, by number.
    """

    def __init__(self, entries: Iterable[Entry], shield: Iterable[str] = ()) -> None:
        self.entries = tuple(entries)
        owners: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            for form in entry.forms:
                owners[form].append(entry)
        self._owners = {form: tuple(of) for form, of in owners.items()}
        # Words with a Latin edge come last, so that a number tells whether a word has one.
        self.words = tuple(sorted(owners.keys() | set(shield), key=lambda w: (_has_latin(w), w)))
        self._latin = sum(not _has_latin(word) for word in self.words)
        self._numbers = {word: number for number, word in enumerate(self.words)}
        self._machine = AhoCorasick(
            self.words, matchkind=MatchKind.LeftmostLongest, store_patterns=False
        )
        lengths: dict[str, set[int]] = defaultdict(set)
        for word in self.words:
            lengths[word[:SHORTEST]].add(len(word))
        self._lengths = {head: sorted(of, reverse=True) for head, of in lengths.items()}

    def owners(self, form: str) -> tuple[Entry, ...]:
        """The concepts that a word may mean: more than one where it is ambiguous (LDH)."""
        return self._owners.get(form, ())

    def find(self, text: str) -> list[Match]:
        """Terms from left to right, the longest at each place; no match lies inside another.

        A term in Latin letters must stand free of other letters and digits.
        """
        words = self.words
        return [Match(start, end, words[number]) for number, start, end in self.spot(text)]

    def spot(self, text: str) -> list[tuple[int, int, int]]:
        """`find` in numbers, which is quicker: which of ``words``, start, end."""
        found = self._machine.find_matches_as_indexes(text)
        latin = self._latin
        for number, start, end in found:
            if number >= latin and not _is_free(text, start, end):
                return self._free(text, found)
        return found

    def _free(self, text: str, found: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        """Matches without those in Latin letters that go on, and with what these have hidden."""
        kept: list[tuple[int, int, int]] = []
        done = 0
        for number, start, end in found:
            if start >= done and (number < self._latin or _is_free(text, start, end)):
                kept.append((number, start, end))
                done = end
            else:
                done = max(done, start)
                while done < end:
                    match = self._match(text, done)
                    if match:
                        kept.append(match)
                    done = match[2] if match else done + 1
        return kept

    def _match(self, text: str, start: int) -> tuple[int, int, int] | None:
        """The longest word at one place that is free."""
        for size in self._lengths.get(text[start : start + SHORTEST], ()):
            form = text[start : start + size]
            end = start + len(form)  # less than the size at the text's end
            number = self._numbers.get(form)
            if number is not None and (number < self._latin or _is_free(text, start, end)):
                return number, start, end
        return None

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


def _has_latin(word: str) -> bool:
    return word[0] in _LATIN or word[-1] in _LATIN


def _is_free(text: str, start: int, end: int) -> bool:
    """Whether Latin letters at the edges of a term end there."""
    if text[start] in _LATIN and start and text[start - 1] in _LATIN:
        return False
    return not (text[end - 1] in _LATIN and end < len(text) and text[end] in _LATIN)


@functools.lru_cache(maxsize=4)
def load(folder: Path = FOLDER) -> Lexicon:
    """The shipped lexicon, or one with the tables of a folder in the place of the shipped ones.

    Raises:
        ConfigError: the folder has no table, or a row is wrong; all problems with their lines.
    """
    entries = read(folder)
    shield = _read_shield(folder, {form for entry in entries for form in entry.forms})
    return Lexicon(entries, shield)


def _read_shield(folder: Path, terms: set[str]) -> list[str]:
    problems, words = [], []
    table = find_table(folder, SHIELD)
    for line, row in cells(table, ("word", "reason")):
        if row["word"] in terms and table.parent != folder:
            continue  # the user's own table says more of it, and a term shields what is inside it
        words.append(row["word"])
        if len(row["word"]) < SHORTEST:
            problems.append(f"{SHIELD}, line {line}: the word is shorter than two characters.")
        if row["word"] in terms:
            problems.append(f"{SHIELD}, line {line}: the word is a term of the lexicon.")
    fail(problems)
    return words

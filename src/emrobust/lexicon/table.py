"""Reads the lexicon's tables: one row a concept, one file a semantic type.

Every problem of all rows is reported at once, with file and line, so that whoever edits the
tables in a spreadsheet mends them in one go. ``tables/README.md`` describes the columns.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from emrobust.errors import ConfigError

FOLDER = Path(__file__).parent / "tables"
SHIELD = "shield.csv"
MEASURES = "measures.csv"
Type = Literal[
    "symptom",
    "sign",
    "vital",
    "disease",
    "test",
    "drug",
    "procedure",
    "anatomy",
    "department",
    "tcm",
    "time",
    "wording",
]
Register = Literal["formal", "colloquial", "abbreviated"]
Use = Literal["train", "test", "all"]
TYPES: tuple[Type, ...] = get_args(Type)
TABLES = (*(f"{kind}.csv" for kind in TYPES), SHIELD, MEASURES)
REGISTERS: tuple[Register, ...] = get_args(Register)
COLUMNS = ("formal", "synonyms", "colloquial", "abbreviated", "source")
SHORTEST = 2  # single characters stand inside too many words
_HELD_OUT = 30  # per cent of the variants
_PROBLEMS_SHOWN = 20


class Entry(NamedTuple):
    """A concept: words that mean the same in a note, so that each may stand for each.

    Attributes:
        formal: the term of a textbook or of ICD-10.
        synonyms: other terms of the same register.
        colloquial: as patients say it.
        abbreviated: as doctors shorten it.
        type: the table it is from.
        source: on what the row rests.
        line: where it stands in the table.
    """

    formal: str
    synonyms: tuple[str, ...]
    colloquial: tuple[str, ...]
    abbreviated: tuple[str, ...]
    type: Type
    source: str
    line: int

    @property
    def variants(self) -> tuple[str, ...]:
        """All words but the formal term: each makes one pair with it."""
        return self.synonyms + self.colloquial + self.abbreviated

    @property
    def forms(self) -> tuple[str, ...]:
        """All words."""
        return (self.formal, *self.variants)

    def of(self, register: Register) -> tuple[str, ...]:
        """The words of a register; the formal term is the first of the formal ones."""
        if register == "formal":
            return (self.formal, *self.synonyms)
        return self.colloquial if register == "colloquial" else self.abbreviated


def held_out(variant: str) -> bool:
    """Whether a variant is kept from training, for the robustness suites only.

    About 30 % are, by a hash of the word alone: editing the tables moves no other word from
    one side to the other.
    """
    digest = hashlib.blake2b(variant.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") % 100 < _HELD_OUT


def serves(variant: str, use: Use) -> bool:
    """Whether the pair that a variant makes with its formal term belongs to ``use``."""
    return use == "all" or held_out(variant) == (use == "test")


def find_table(folder: Path, name: str) -> Path:
    """A table of a folder, or the shipped one where the folder has none of that name."""
    own = folder / name
    return own if own.is_file() else FOLDER / name


def has_tables(folder: Path) -> bool:
    """Whether a folder holds any table of a lexicon."""
    return any((folder / name).is_file() for name in TABLES)


def where(folder: Path, name: str, line: int) -> str:
    """A table's line for whoever edits the folder, who has not the shipped tables before them."""
    shipped = "" if (folder / name).is_file() else "the shipped "
    return f"{shipped}{name}, line {line}"


def read(folder: Path = FOLDER) -> list[Entry]:
    """The concepts of all tables of a folder; of those that it has not, the shipped ones.

    Raises:
        ConfigError: the folder has no table, or one has other columns; a row has an empty term, a
            term mapped to itself, a term twice, a single character or an edge that no text has.
    """
    if not has_tables(folder):
        raise ConfigError(
            f"{folder} holds no table of a lexicon",
            f"Give a folder with some of {', '.join(TABLES)}.",
        )
    entries: list[Entry] = []
    problems: list[str] = []
    for kind in TYPES:
        for entry in _rows(find_table(folder, f"{kind}.csv"), kind):
            entries.append(entry)
            place = where(folder, f"{kind}.csv", entry.line)
            problems += (f"{place}: {why}" for why in _problems(entry))
    problems += _repeats(folder, entries)
    fail(problems)
    return entries


def fail(problems: list[str]) -> None:
    """Raise what is wrong with the tables, if anything is."""
    if problems:
        more = len(problems) - _PROBLEMS_SHOWN
        shown = [*problems[:_PROBLEMS_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        raise ConfigError(
            "\n  - ".join(["the lexicon is wrong:", *shown]),
            "Correct the rows; lexicon/tables/README.md describes the columns.",
        )


def cells(path: Path, columns: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and stripped cells of a CSV table that has at least ``columns``.

    Raises:
        ConfigError: it is missing, not UTF-8, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            lacking = [name for name in columns if name not in (reader.fieldnames or [])]
            if lacking:
                raise ConfigError(f"{path} has no column {', '.join(map(repr, lacking))}.")
            for row in reader:
                yield reader.line_num, {name: (row[name] or "").strip() for name in columns}
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"the lexicon's table {path} is missing or not in UTF-8.") from None


def words(cell: str) -> tuple[str, ...]:
    """The words of a cell, separated by ``|``."""
    return tuple(part.strip() for part in cell.split("|")) if cell else ()


def _rows(path: Path, kind: Type) -> Iterator[Entry]:
    for line, row in cells(path, COLUMNS):
        yield Entry(
            row["formal"],
            words(row["synonyms"]),
            words(row["colloquial"]),
            words(row["abbreviated"]),
            kind,
            row["source"],
            line,
        )


def _problems(entry: Entry) -> Iterator[str]:
    """What is wrong with a row by itself."""
    if not entry.variants:
        yield "it has no other word for its formal term."
    if not entry.source:
        yield "it has no source."
    if entry.formal in entry.variants:
        yield "it maps a term to itself."
    if len(set(entry.variants)) < len(entry.variants):
        yield "it has a word twice."
    for form in entry.forms:
        if not form:
            yield "a term is empty."
        elif len(form) < SHORTEST:
            yield f"{form!r} is a single character, which stands inside other words."


def _repeats(folder: Path, entries: Iterable[Entry]) -> Iterator[str]:
    """Formal terms that another row has too, which therefore should be one row."""
    first: dict[str, Entry] = {}
    known = list(entries)
    for entry in known:
        first.setdefault(entry.formal, entry)
    for entry in known:
        for form in entry.forms:
            other = first.get(form)
            if other is not None and other is not entry:
                here, there = (where(folder, f"{of.type}.csv", of.line) for of in (entry, other))
                yield f"{here}: {form!r} is the formal term of {there}."

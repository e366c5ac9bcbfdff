"""Reads the tables that detectors know things from: TOML lists and CSV rows beside the code."""

from __future__ import annotations

import csv
import functools
import re
import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

FOLDER = Path(str(resources.files("emrobust.deid"))) / "tables"


@functools.cache
def read_toml(name: str) -> dict[str, Any]:
    """A table of word lists."""
    return tomllib.loads((FOLDER / name).read_text(encoding="utf-8"))


@functools.cache
def read_csv(name: str) -> tuple[dict[str, str], ...]:
    """The rows of a table by column."""
    with (FOLDER / name).open(encoding="utf-8", newline="") as handle:
        return tuple(csv.DictReader(handle))


def words(name: str, *keys: str) -> tuple[str, ...]:
    """A list of words under a key (or a key of a section); text is split at its blanks."""
    value: Any = read_toml(name)
    for key in keys:
        value = value[key]
    return tuple(value.split() if isinstance(value, str) else value)


def either(name: str, *keys: str) -> str:
    """The pattern for any word of a list."""
    return alternatives(words(name, *keys))


def labels(kind: str) -> tuple[str, ...]:
    """What a number of this kind is called in front of it."""
    return tuple(row["label"] for row in read_csv("labels.csv") if row["kind"] == kind)


def alternatives(of: Iterable[str]) -> str:
    """A pattern for the longest of these words that fits, grouped by first character.

    A blank in a word stands for any space; Latin words begin where no letter stands before.
    """
    by_first: dict[str, list[str]] = {}
    spelled = {form for word in of for form in _spellings(word)}
    for word in sorted(spelled, key=len, reverse=True):
        by_first.setdefault(word[0], []).append(re.escape(word[1:]).replace(r"\ ", r"\s?"))
    groups = [
        f"{re.escape(first)}{_free(first)}(?:{'|'.join(rest)})" for first, rest in by_first.items()
    ]
    return f"(?:{'|'.join(groups) or '(?!)'})"


def _spellings(word: str) -> set[str]:
    """The word itself, and a Latin one in capitals and in small letters."""
    return {word, word.upper(), word.lower()} if word.isascii() else {word}


def _free(first: str) -> str:
    """Behind a Latin first letter: no letter before it."""
    return r"(?<![A-Za-z].)" if first.isascii() and first.isalpha() else ""

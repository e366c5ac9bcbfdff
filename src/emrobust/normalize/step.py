"""What every step of the normaliser is: texts in, edits out."""

from __future__ import annotations

import csv
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import ClassVar

from emrobust.errors import ConfigError
from emrobust.normalize.alignment import Edit

FOLDER = Path(str(resources.files("emrobust.normalize"))) / "tables"
HAN = "\u3400-\u4dbf\u4e00-\u9fff"
SEPARATOR = "|"


class Step(ABC):
    """One kind of edit. A step keeps no state, so one instance serves all texts.

    Args:
        tables: folder of the tables that it reads; a table that is not there is the shipped one.

    Attributes:
        order: steps run from small to large.
        back_to: steps from this order on run again after an edit of this one, since it may have
            made work for them; None where it only makes work for later steps.
        languages: of the texts that it is for.
        files: its tables; they are saved with a run, so that a prediction uses the same.
    """

    order: ClassVar[int]
    back_to: ClassVar[int | None] = None
    languages: ClassVar[frozenset[str]] = frozenset({"zh"})
    files: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tables: Path | None = None) -> None:
        self.tables = tables

    def table(self, name: str) -> Path:
        """Where one of its tables lies."""
        own = None if self.tables is None else self.tables / name
        return own if own and own.is_file() else FOLDER / name

    @abstractmethod
    def edits(self, text: str) -> list[Edit]:
        """Edits of one text: in order, not overlapping, each changing something."""


def rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and rows of a table, cells stripped.

    Raises:
        ConfigError: it is missing, not UTF-8, or a row has too few or too many cells.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            for row in reader:
                if None in row or None in row.values():
                    raise ConfigError(
                        f"line {reader.line_num} of {path.name} has not one cell a column",
                        "Put cells with a comma into double quotes.",
                    )
                yield reader.line_num, {key: cell.strip() for key, cell in row.items()}
    except FileNotFoundError:
        raise ConfigError(f"the normaliser's table {path} is missing") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8", "Save it as CSV UTF-8.") from None


def words(cell: str) -> list[str]:
    """The alternatives of a cell, separated by ``|``."""
    return [word for word in cell.split(SEPARATOR) if word]


def alternatives(of: Iterable[str]) -> str:
    """A pattern that matches the longest of these words that fits.

    Words are grouped by their first character, which lets `re` skip ahead to one of them.
    """
    by_first: dict[str, list[str]] = {}
    for word in sorted(set(of), key=len, reverse=True):
        by_first.setdefault(word[0], []).append(re.escape(word[1:]))
    groups = [f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in by_first.items()]
    return f"(?:{'|'.join(groups) or '(?!)'})"

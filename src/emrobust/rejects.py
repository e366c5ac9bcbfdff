"""``rejects.csv``: the rows that a stage refused, with the reason and never their text."""

from __future__ import annotations

import contextlib
import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from emrobust import runs

FILE = "rejects.csv"
HEADER = ("row", "record_id", "column", "reason")


class Rejects:
    """Writes refused rows and counts them by reason.

    Attributes:
        counts: reason → rows refused for it.
        name: gives the record's number as it may be written; de-identification sets it.
    """

    def __init__(self, rows: Any) -> None:
        self._rows = rows
        self.name: Callable[[str], str] = str
        self.counts: Counter[str] = Counter()

    def add(self, row: int, record_id: str, column: str, reason: str, where: str = "") -> None:
        """Refuse a row.

        Args:
            row: number of the row in the stage's source, the first row of data being 1. A header
                is not counted: row 8 is row 9 of a sheet whose header is in row 1.
            record_id: the visit's number.
            column: column that is at fault.
            reason: why, in words that are the same for all rows with this fault.
            where: detail of this row alone, such as ``code 2``; never text.
        """
        self.counts[reason] += 1
        said = f"{where}: {reason}" if where else reason
        self._rows.writerow((row, self.name(record_id), column, said))


class _Nowhere:
    """A file of rejects that nobody reads."""

    def writerow(self, row: Sequence[object]) -> None:
        """Forget it."""


def unlisted() -> Rejects:
    """For rows that are counted only."""
    return Rejects(_Nowhere())


@contextlib.contextmanager
def open_in(folder: Path, name: str = FILE) -> Iterator[Rejects]:
    """Open ``rejects.csv`` of a stage's target folder; the header is always there."""
    with (
        runs.atomic_file(folder / name) as partial,
        partial.open("w", encoding="utf-8", newline="") as handle,
    ):
        rows = csv.writer(handle)
        rows.writerow(HEADER)
        yield Rejects(rows)

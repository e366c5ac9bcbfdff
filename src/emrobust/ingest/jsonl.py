"""JSON Lines: one object a line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from emrobust.config import Source
from emrobust.errors import SourceError
from emrobust.ingest import encoding
from emrobust.ingest.table import Batch, Refusal, Table, gather

SUFFIXES = (".jsonl", ".ndjson")
NOT_JSON = "not a JSON object"
_HEADER_ROWS = 100


def open_table(settings: Source, path: Path) -> Table:
    """Open a file of JSON lines; its columns are the keys of the first hundred objects.

    Raises:
        SourceError: of no known encoding, or without an object among the first rows.
    """
    found = encoding.detect(path, settings.encoding)
    header: dict[str, None] = {}
    for number, row in _objects(path, found):
        header |= dict.fromkeys(row or ())
        if number >= _HEADER_ROWS:
            break
    if not header:
        raise SourceError(
            f"{path.name} does not hold one JSON object a line", "Is it .json rather than .jsonl?"
        )
    names = list(header)
    facts = {"format": "JSON lines", "encoding": found}
    return Table(path.name, names, partial(_read, path, found, names), facts)


def _objects(path: Path, found: str) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Number and object of every line that is not blank; None where it is no object."""
    number = 0
    with encoding.Transcoder(path, found) as raw:
        lines = io.TextIOWrapper(io.BufferedReader(raw, 1 << 20), encoding="utf-8", newline="\n")
        for line in lines:
            if line.strip():
                number += 1
                yield number, _object(line)


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _read(
    path: Path, found: str, names: Sequence[str], positions: Sequence[int]
) -> Iterator[Batch]:
    keys = [names[place] for place in positions]
    return gather(
        Refusal(number, NOT_JSON) if row is None else (number, [row.get(key) for key in keys])
        for number, row in _objects(path, found)
    )

"""JSON: an array of objects, read as a stream, or an object of columns, read whole."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from emrobust.config import Source
from emrobust.errors import SourceError
from emrobust.ingest import encoding
from emrobust.ingest.table import Batch, Refusal, Table, gather

SUFFIXES = (".json",)
NOT_OBJECT = "not a JSON object"
_HEADER_ROWS = 100
_CHUNK = 1 << 20
_SPACE = re.compile(r"\s*")
_BETWEEN = re.compile(r"[\s,]*")


def open_table(settings: Source, path: Path) -> Table:
    """Open a JSON file: ``[{column: cell, …}, …]`` or ``{column: [cell, …], …}``.

    An array is never held whole; an object of columns is.

    Raises:
        SourceError: of no known encoding, not JSON, or of another shape.
    """
    found = encoding.detect(path, settings.encoding)
    facts = {"format": "JSON", "encoding": found}
    with encoding.open_text(path, found) as stream:
        array = stream.read(_CHUNK).lstrip().startswith("[")
    if array:
        header: dict[str, None] = {}
        for item in islice(_items(path, found), _HEADER_ROWS):
            header |= dict.fromkeys(item if isinstance(item, dict) else ())
        return Table(path.name, list(header), partial(_read, path, found, list(header)), facts)
    columns = _columns(path, found)
    names = list(columns)
    return Table(path.name, names, partial(_read_columns, list(columns.values())), facts)


def _items(path: Path, found: str) -> Iterator[Any]:
    """The elements of a JSON array one after the other."""
    decode = json.JSONDecoder().raw_decode
    done = 0
    with encoding.open_text(path, found) as stream:
        text = stream.read(_CHUNK)
        at = text.index("[") + 1
        while True:
            at = _past(_BETWEEN, text, at)
            if text.startswith("]", at):
                return
            with contextlib.suppress(ValueError):
                item, end = decode(text, at)
                # What follows must be there too: a number may go on in the next chunk.
                end = _past(_SPACE, text, end)
                if text.startswith((",", "]"), end):
                    done, at = done + 1, end
                    yield item
                    continue
            # Ask for more than is there: a long element is tried log n times, not n.
            more = stream.read(max(_CHUNK, 3 * (len(text) - at)))
            if not more:
                raise _broken(path, done)
            text, at = text[at:] + more, 0


def _past(pattern: re.Pattern[str], text: str, at: int) -> int:
    """The place behind what the pattern, which always matches, takes from ``at`` on."""
    found = pattern.match(text, at)
    return found.end() if found else at


def _broken(path: Path, done: int) -> SourceError:
    return SourceError(
        f"{path.name} is not JSON: element {done + 1} is broken or incomplete",
        "Was the file cut off? Export it again.",
    )


def _read(
    path: Path, found: str, names: Sequence[str], positions: Sequence[int]
) -> Iterator[Batch]:
    keys = [names[place] for place in positions]
    return gather(
        (number, [item.get(key) for key in keys])
        if isinstance(item, dict)
        else Refusal(number, NOT_OBJECT)
        for number, item in enumerate(_items(path, found), 1)
    )


def _columns(path: Path, found: str) -> dict[str, list[Any]]:
    with encoding.open_text(path, found) as stream:
        text = stream.read()
    shape = SourceError(
        f"{path.name} is neither a JSON array of objects nor an object of equally long columns",
        'Write it as [{"column": "cell", …}, …], or as JSON lines.',
    )
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise shape from None
    if not isinstance(value, dict) or not value:
        raise shape
    # pandas writes a column as an object from row names to cells.
    columns = {name: list(c.values()) if isinstance(c, dict) else c for name, c in value.items()}
    if any(not isinstance(column, list) for column in columns.values()):
        raise shape
    if len({len(column) for column in columns.values()}) != 1:
        raise shape
    return columns


def _read_columns(columns: Sequence[Sequence[Any]], positions: Sequence[int]) -> Iterator[Batch]:
    chosen = [columns[place] for place in positions]
    return gather(enumerate(zip(*chosen, strict=True), 1))

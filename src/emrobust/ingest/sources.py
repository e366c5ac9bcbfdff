"""Opening a source: a file by its suffix, or a database."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from emrobust.config import Source
from emrobust.errors import SourceError
from emrobust.ingest import database, delimited, excel, json_table, jsonl, parquet
from emrobust.ingest.table import Table

_READERS: dict[str, Callable[[Source, Path], Table]] = {
    suffix: reader.open_table
    for reader in (delimited, excel, parquet, json_table, jsonl)
    for suffix in reader.SUFFIXES
}


def file_kinds() -> list[str]:
    """Endings of files that hold a table and no database."""
    return sorted(_READERS)


def open_table(settings: Source, path: Path | None) -> Table:
    """Open a file by its suffix, or the database of the settings; only the header is read.

    Raises:
        SourceError: it is missing, of an unknown kind, or unreadable.
    """
    if path is None:
        return database.open_url(settings)
    if not path.is_file():
        raise _missing(path)
    suffix = path.suffix.lower()
    try:
        if path.stat().st_size == 0:
            raise SourceError(f"{path} is empty", "Export the table again.")
        if suffix in database.SUFFIXES:
            return database.open_file(settings, path)
        if suffix in _READERS:
            return _READERS[suffix](settings, path)
    except PermissionError:
        raise SourceError(f"{path} may not be read", "Ask for the right to read it.") from None
    known = ", ".join(sorted([*_READERS, *database.SUFFIXES]))
    raise SourceError(f"{path.name} is of no known kind", f"Known suffixes are {known}.")


def source_of(settings: Source, table: Path) -> Source:
    """The same columns, read from another table.

    A sheet or a database table keeps its name, and the header its row, only where the other file
    is of the same kind. A column that decides the split belongs to the table that was trained on.
    """
    kind = None if settings.path is None else settings.path.suffix
    same = {} if table.suffix == kind else {"table": None, "header_row": 1}
    columns = settings.columns.model_copy(update={"split": None})
    other = {"path": table, "url": None, "query": None, "columns": columns, **same}
    return settings.model_copy(update=other)


def _missing(path: Path) -> SourceError:
    if path.is_dir():
        return SourceError(f"{path} is a folder, not a table", "Name a file in it.")
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"Did you mean `{near[0]}`?" if near else "Paths are relative to the project file."
    return SourceError(f"the file {path} does not exist", hint)

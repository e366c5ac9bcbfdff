"""What models made of texts, by content, so that it is paid for once.

One SQLite file: whatever a process wrote before it was killed is there, nothing by halves. It
holds texts, so its place is where the records are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from emrobust import runs
from emrobust.errors import RunError, StorageError

# Two trainings may share a file; SQLite asks for few variables in one statement.
_PATIENCE = 60.0
_AT_ONCE = 500


def key(*parts: str | int) -> str:
    """A key for whatever follows from these parts."""
    given = json.dumps(parts, ensure_ascii=False).encode()
    return hashlib.blake2b(given, digest_size=16).hexdigest()


class Cache:
    """A map from keys to JSON values.

    Args:
        path: of the file; absent: it is kept in memory and is gone at the end.

    Raises:
        RunError: the file is no such cache.
        StorageError: it cannot be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        with self._errors():
            if path is not None:
                with runs.storage_errors(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path or ":memory:", timeout=_PATIENCE)
            self._base.execute("CREATE TABLE IF NOT EXISTS made (key TEXT PRIMARY KEY, value TEXT)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def find(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values of those keys that are there."""
        found: dict[str, Any] = {}
        with self._errors():
            for start in range(0, len(keys), _AT_ONCE):
                part = keys[start : start + _AT_ONCE]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, value FROM made WHERE key IN ({marks})"  # noqa: S608 - marks only
                found.update(
                    (name, json.loads(value)) for name, value in self._base.execute(query, part)
                )
        return found

    def add(self, values: Mapping[str, Any]) -> None:
        """Keep all of these or none; what is there already stays."""
        rows = [(name, json.dumps(value, ensure_ascii=False)) for name, value in values.items()]
        with self._errors(), self._base:
            self._base.executemany("INSERT OR IGNORE INTO made VALUES (?, ?)", rows)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"the cache {self.path} cannot be written or read ({error})",
                "Free some space, or set `augment.cache` to a file that you may write.",
            ) from None
        except sqlite3.DatabaseError:
            raise RunError(
                f"{self.path} is no cache of augmented texts, or it is damaged",
                "Set `augment.cache` to another file, or delete this one: it is made again.",
            ) from None

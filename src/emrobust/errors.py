"""The exception tree: what can go wrong, who can mend it, and the exit code.

    EmrobustError                 exit 1: the work failed
    ├── InputError                exit 2: what the user gave can be mended
    │   ├── ConfigError           the project file or an option
    │   ├── SourceError           a table, a file or a database that was read
    │   │   └── ColumnsError      a table without the columns that are needed
    │   ├── RecordsError          a records table breaks its contract
    │   ├── LabelError            codes, classes, the class table
    │   ├── SplitError            a split that cannot be made
    │   ├── ModelError            an unknown or unusable model or checkpoint
    │   ├── RunError              a run folder: incomplete, changed, of another version
    │   ├── DeniedError           an API key that is unknown, expired or revoked
    │   └── StoreError            the service's database: its URL, its version, its rights
    │       ├── NotFoundError     a prediction, job, key or model version that is not there
    │       └── InUseError        a model version that unfinished batch jobs still need
    ├── StorageError              a full disk, a folder that cannot be written
    ├── LostLeaseError            a batch job that was cancelled, or taken by another worker
    ├── UnavailableError          a database that is away or busy: the same call may work later
    └── ChainError                the audit log was changed, or cut off

A message says what happened, where (file, row, key) and, in ``hint``, what to do.
It never holds the text of a record: only names, numbers, keys and reasons.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class EmrobustError(Exception):
    """Base of every error that this package raises on purpose.

    Args:
        message: what happened and where; never a record's text.
        hint: what the user can do about it, a full sentence or empty.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class InputError(EmrobustError):
    """Something the user gave is wrong and can be mended by the user."""

    exit_code = 2


class ConfigError(InputError):
    """The project file or a command-line option is wrong."""


class SourceError(InputError):
    """A table, file or database cannot be read as asked."""


class ColumnsError(SourceError):
    """A table lacks columns that are needed, or has them twice.

    Args:
        message: what happened.
        hint: what the user can do about it.
        columns: their names, as the project has them.
    """

    def __init__(self, message: str, hint: str, columns: Sequence[str]) -> None:
        super().__init__(message, hint)
        self.columns = tuple(columns)


class RecordsError(InputError):
    """A records table breaks an invariant of `emrobust.records`."""


class LabelError(InputError):
    """Codes, classes or the class table are wrong."""


class SplitError(InputError):
    """The records cannot be split as asked."""


class ModelError(InputError):
    """A model or checkpoint is unknown, unreadable or does not fit the data."""


class RunError(InputError):
    """A run folder is incomplete, was changed, or is of another version."""


class DeniedError(InputError):
    """An API key is unknown, expired or revoked."""


class StoreError(InputError):
    """The service's database cannot be used as asked."""


class NotFoundError(StoreError):
    """The store has no such prediction, job, key or model version."""


class InUseError(StoreError):
    """A model version cannot be retired while unfinished batch jobs need it."""


class StorageError(EmrobustError):
    """Writing failed: the disk is full or the folder cannot be written."""


class LostLeaseError(EmrobustError):
    """A batch job is no longer this worker's: stop, and write nothing more."""


class UnavailableError(EmrobustError):
    """A database is away or busy; nothing was acknowledged, and the same call may work later."""


class ChainError(EmrobustError):
    """The audit log is not what was written: a row was changed, or rows are missing."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The sentence that suggests the nearest known word, or lists all of them."""
    options = sorted(known)
    near = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    if near:
        return f"Did you mean `{near[0]}`?"
    return f"Known are: {', '.join(options)}." if options else ""

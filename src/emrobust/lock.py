"""One process at a time in a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from emrobust import runs
from emrobust.errors import RunError

# Named as what is being written, so that no manifest lists it.
_FILE = f".lock{runs.PARTIAL}"


@contextlib.contextmanager
def alone(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder against other processes; the system frees it where this one is killed.

    Args:
        folder: made if absent; the lock lies in it while it is held.
        wait: until another process has ended, in place of an error.

    Raises:
        RunError: another process holds it.
        StorageError: the folder cannot be written.
    """
    path = folder / _FILE
    with runs.storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        held = _hold(path, wait=wait)
    with held:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # before it is freed, so that it is nobody else's


def _hold(path: Path, *, wait: bool) -> IO[bytes]:
    """The open, locked file of this path."""
    while True:
        file = path.open("wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BlockingIOError:
            file.close()
            raise RunError(
                f"another process works in {path.parent}",
                "Wait until it has ended, or give another folder with --out.",
            ) from None
        except FileNotFoundError:
            pass  # whoever held it has taken it away
        file.close()

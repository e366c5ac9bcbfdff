"""When a training writes checkpoints, and how long it has lasted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

# Writing checkpoints may take at most one part in this many of the time.
_WRITING_SHARE = 20


class Pace:
    """Clock of a training.

    Args:
        every: seconds between two checkpoints, or more where writing one takes long.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._pause = 0.0
        self._saved = self._ticked = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() - self._saved >= max(self._every, self._pause)

    def lap(self) -> float:
        """Seconds since the last call, or since the beginning."""
        now = time.monotonic()
        passed, self._ticked = now - self._ticked, now
        return passed

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Around the writing of a checkpoint."""
        started = time.monotonic()
        yield
        self._saved = time.monotonic()
        self._pause = (self._saved - started) * _WRITING_SHARE

"""Who is let in to a model: as many requests as it answers within a moment, and no more.

What a model cannot answer soon is refused before anything is done for it: no body is parsed, no key
looked up. So refusing stays cheap when it is most needed, and who is let in is answered in time.
How many that are is measured, not guessed: by Little's law, as many as were answered lately within
the time that a request may wait (Little 1961, doi:10.1287/opre.9.3.383).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, final

from starlette.routing import Route
from starlette.types import Scope

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_MEMORY = 2.0  # seconds of the answers that are counted
_MARK = "scored"


def scored(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint that asks a model, so that its requests are let in or refused here."""
    vars(endpoint)[_MARK] = True
    return endpoint


@final
class Admission:
    """Counts the requests inside, and tells whether there is room for one more.

    All of it happens in the event loop, so it needs no lock.

    Args:
        routes: of the application; those whose endpoint is `scored` are counted.
        wait: seconds that a request may have to wait.
        least: requests that are always let in at once, such as one batch.
        most: requests that are inside at once, however quick the model is.
        clock: seconds; tests set their own.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        wait: float,
        least: int,
        most: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        found = [route for route in routes if vars(route.endpoint).get(_MARK)]
        self._named = {route.path: route for route in found if "{" not in route.path}
        self._patterns = [route for route in found if "{" in route.path]
        self._wait = wait
        self._least = min(least, most)
        self._most = most
        self._inside = 0
        # Until it was measured, the model counts as quick enough for `most`.
        self._answered, self._seconds = float(most), wait
        self._clock = clock
        self._at = clock()

    @property
    def room(self) -> int:
        """Requests that may be inside at once."""
        return min(self._most, max(self._least, round(self._rate * self._wait)))

    @property
    def is_full(self) -> bool:
        """Whether one more would wait too long."""
        return self._inside >= self.room

    @property
    def retry(self) -> float:
        """Seconds until those who are inside now will be answered."""
        return self._inside / max(self._rate, 1.0)

    def find(self, scope: Scope) -> Route | None:
        """The route of a request that a model must answer; None for all other requests."""
        if scope["method"] != "POST":
            return None
        path: str = scope["path"]
        named = self._named.get(path)
        return named or next((r for r in self._patterns if r.path_regex.match(path)), None)

    def enter(self) -> None:
        """One more is inside."""
        self._tick()
        self._inside += 1

    def leave(self, *, answered: bool) -> None:
        """One is out, answered or not."""
        self._tick()
        if self._is_crowded:
            self._answered += answered
        self._inside -= 1

    @property
    def _rate(self) -> float:
        """Requests a second that are answered while many wait."""
        return self._answered / self._seconds

    @property
    def _is_crowded(self) -> bool:
        """Whether so many are inside that the model does what it can; it is measured only then."""
        return 2 * self._inside >= self._least

    def _tick(self) -> None:
        """Let time pass; what was longer ago counts less."""
        now = self._clock()
        if self._is_crowded:
            kept = math.exp((self._at - now) / _MEMORY)
            self._answered *= kept
            self._seconds = self._seconds * kept + now - self._at
        self._at = now

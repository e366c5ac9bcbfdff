"""Texts and answers on their way into sketches: a queue, a thread's work, and the store's table.

A request only appends to a bounded queue; what comes faster than ``sample`` a second is not looked
at. Texts stay in memory until the next look, which is a second away at most.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import final

import numpy as np
import sqlalchemy as sa

from emrobust.package.drift import Reference
from emrobust.serve.monitor import sketch
from emrobust.serve.monitor.sketch import Sketch
from emrobust.serve.store import Database, clock
from emrobust.serve.store.entries import new_id
from emrobust.serve.store.schema import SKETCHES

_MOST = 1000  # texts that wait for a look


@dataclass(frozen=True)
class _Seen:
    """One text with its answer."""

    model: str
    reference: Reference
    text: str
    own: np.ndarray


@dataclass
class _Page:
    """The sketch of a model's hour by this process, and the row that holds it."""

    hour: str
    sketch: Sketch = field(default_factory=Sketch)
    id: str = field(default_factory=new_id)
    written: int = 0


@final
class Watch:
    """Sketches of what this process sees, and of what all processes saw.

    Args:
        database: the store's.
        sample: texts a second that are looked at, at most.
    """

    def __init__(self, database: Database, sample: float) -> None:
        self._database = database
        self._sample = sample
        self._queue: deque[_Seen] = deque(maxlen=_MOST)
        self._room = sample
        self._at = time.monotonic()
        self._pages: dict[str, _Page] = {}
        self._lock = threading.Lock()

    def observe(self, model: str, reference: Reference, text: str, own: np.ndarray) -> None:
        """Take a text and the model's own probabilities [labels] of it, unless it is one too many.

        Called from the event loop alone.
        """
        now = time.monotonic()
        self._room = min(self._room + (now - self._at) * self._sample, max(self._sample, 1.0))
        self._at = now
        if self._room >= 1:
            self._room -= 1
            self._queue.append(_Seen(model, reference, text, own))

    def look(self) -> None:
        """Count what waits into the sketches."""
        waiting: dict[str, list[_Seen]] = {}
        with self._lock:
            while self._queue:
                seen = self._queue.popleft()
                waiting.setdefault(seen.model, []).append(seen)
        for model, group in waiting.items():
            reference = group[0].reference
            described = reference.describe(
                [of.text for of in group], np.stack([of.own for of in group])
            )
            with self._lock:
                self._page(model).sketch.add(described, reference)

    def write(self) -> None:
        """Bring the store's rows up to date; sketches of few records wait for more.

        Raises:
            EmrobustError: the store is away or full; what was counted is kept for the next time.
        """
        with self._lock:
            pages = [
                (model, page.id, page.hour, page.sketch.rows, page.sketch.to_json())
                for model, page in self._pages.items()
                if page.sketch.rows >= max(sketch.LEAST, page.written + 1)
            ]
        if not pages:
            return
        with self._database.write() as connection:
            for model, row, hour, rows, sums in pages:
                connection.execute(sa.delete(SKETCHES).where(SKETCHES.c.id == row))
                values = {"id": row, "model": model, "hour": hour, "rows": rows, "sums": sums}
                connection.execute(sa.insert(SKETCHES), values)
        with self._lock:
            for model, row, _, rows, _ in pages:
                if self._pages[model].id == row:
                    self._pages[model].written = rows

    def total(self, model: str, reference: Reference, start: dt.datetime) -> Sketch:
        """Everything that was seen since the hour of a moment, by all processes."""
        with self._lock:
            page = self._pages.get(model)
            own = Sketch()
            if page is not None and page.hour >= _hour(start):
                own.merge(page.sketch)
        asked = sa.select(SKETCHES.c.rows, SKETCHES.c.sums).where(
            SKETCHES.c.model == model,
            SKETCHES.c.hour >= _hour(start),
            SKETCHES.c.id != ("" if page is None else page.id),
        )
        with self._database.read() as connection:
            stored = [sketch.read(row.rows, row.sums) for row in connection.execute(asked)]
        return sketch.total([*stored, own], reference)

    def forget(self, before: dt.datetime) -> None:
        """Delete rows that are too old."""
        with self._database.write() as connection:
            connection.execute(sa.delete(SKETCHES).where(SKETCHES.c.hour < _hour(before)))

    def _page(self, model: str) -> _Page:
        """The model's page of this hour; a page with too few records goes on into the next."""
        hour = _hour(dt.datetime.now(dt.UTC))
        page = self._pages.get(model)
        if page is None or (page.hour != hour and page.written == page.sketch.rows):
            page = self._pages[model] = _Page(hour)
        elif page.hour != hour and not page.written:
            page.hour = hour
        return page


def _hour(moment: dt.datetime) -> str:
    return clock.write(moment.replace(minute=0, second=0, microsecond=0))

"""Predictions and feedback of the store, counted by model and hour.

The audit log's numbers have no gaps and grow in the order of commits, so following them misses
nothing and counts nothing twice, whichever process recorded it. Only counts are kept in memory;
after a restart they are read again.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import sqlalchemy as sa

from emrobust.serve.monitor.level import Floats
from emrobust.serve.store import Database, clock
from emrobust.serve.store.schema import AUDIT, FEEDBACK, PREDICTIONS

KEPT = dt.timedelta(hours=720)
_STRIDE = 2000  # rows of the log that are looked at together
# Latencies are counted in bins that grow by a tenth, from 0.1 ms to 300 s.
_GROWTH, _SHORTEST, _BINS = 1.1, 1e-4, 157
_HOUR, _MINUTE = 13, 16  # characters of a time as `clock` writes it
VERDICTS = ("accepted", "changed", "rejected")
_DIAGNOSE = "diagnose"  # somebody waits for it, and may answer it
# Each reads a note of its own. What speaks for a label, and which department, is asked of a note
# that was diagnosed, by the page each time: counted too, one note would pass for many.
NOTES = frozenset({_DIAGNOSE, "infer", "batch"})


@dataclass
class Tally:
    """Counts of some time.

    Attributes:
        notes: that were read, each counted once.
        abstained: of these.
        labels: how often each label was chosen.
        requests: notes that somebody waited for and was shown, rather than a job or a platform.
        latency: of these, by seconds.
        answered: prediction → its latest verdict; one that was accepted in part is accepted.
        beside: answers of a shadow that stand beside one that somebody was shown.
        same_first: of these, where the likeliest label is the same.
        same: of these, where both decided for the same labels, or both abstained.
    """

    notes: int = 0
    abstained: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    latency: Floats = field(default_factory=lambda: np.zeros(_BINS))
    answered: dict[str, str] = field(default_factory=dict)
    beside: int = 0
    same_first: int = 0
    same: int = 0

    def count(self, task: str, result: Mapping[str, Any]) -> None:
        """Count a note in, by the task that read it and the result as `entries` wrote it."""
        self.notes += 1
        self.abstained += result["abstained"]
        self.labels.update(result["chosen"])
        if task != _DIAGNOSE:
            return
        self.requests += 1
        place = math.log(max(result["seconds"], _SHORTEST) / _SHORTEST, _GROWTH)
        self.latency[min(int(place), _BINS - 1)] += 1

    def compare(self, shadow: Mapping[str, Any], shown: Mapping[str, Any]) -> None:
        """Count in what a shadow said beside what somebody was shown, both as `entries` wrote."""
        self.beside += 1
        self.same_first += _first(shadow) == _first(shown)
        self.same += _decision(shadow) == _decision(shown)

    def merge(self, other: Tally) -> None:
        """Add another one."""
        self.notes += other.notes
        self.requests += other.requests
        self.abstained += other.abstained
        self.labels.update(other.labels)
        self.latency = self.latency + other.latency
        self.answered.update(other.answered)
        self.beside += other.beside
        self.same_first += other.same_first
        self.same += other.same

    @property
    def verdicts(self) -> Counter[str]:
        """How often each verdict is the latest on a prediction."""
        return Counter(self.answered.values())

    def quantile(self, share: float) -> float | None:
        """Seconds that this share of the answers did not exceed, within a tenth."""
        if not self.requests:
            return None
        place = int(np.searchsorted(self.latency.cumsum(), share * self.latency.sum()))
        return float(round(_SHORTEST * _GROWTH ** (place + 1), 5))


@final
class Ledger:
    """All counts of the last thirty days; not for several threads at once.

    Args:
        database: the store's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._after: int | None = None
        self._hours: dict[str, dict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
        self._minutes: dict[str, dict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))

    @property
    def models(self) -> list[str]:
        """Those with any count."""
        return sorted(model for model, hours in self._hours.items() if hours)

    def follow(self) -> bool:
        """Count what was recorded since; whether there may be more.

        Raises:
            UnavailableError: the database is away.
        """
        with self._database.read() as connection:
            if self._after is None:
                self._after = _begin(connection)
            last = connection.execute(sa.select(sa.func.max(AUDIT.c.seq))).scalar() or 0
            until = min(last, self._after + _STRIDE)
            inside = sa.and_(AUDIT.c.seq > self._after, AUDIT.c.seq <= until)
            shadows = []
            for at, model, task, written in connection.execute(_PREDICTED.where(inside)):
                result = json.loads(written)
                if result["shadow"]:
                    shadows.append((at, model, result))
                else:
                    self._count(at, model, task, result)
            shown = _read(connection, [result.get("beside") for _, _, result in shadows])
            for at, model, result in shadows:
                if (other := shown.get(result.get("beside"))) is not None:
                    self._hours[model][at[:_HOUR]].compare(result, other)
            for at, model, prediction, verdict in connection.execute(_ANSWERED.where(inside)):
                said = "accepted" if verdict == "partial" else verdict
                self._hours[model][at[:_HOUR]].answered[prediction] = said
        self._after = until
        self._forget()
        return until < last

    def since(self, model: str, start: dt.datetime) -> Tally:
        """All counts of a model from the hour of a moment on."""
        summed = Tally()
        for _, tally in self.hours(model, start):
            summed.merge(tally)
        return summed

    def hours(self, model: str, start: dt.datetime) -> list[tuple[str, Tally]]:
        """Hours with counts, in order: ``2026-11-22T16:00:00Z`` and the hour's."""
        return _from(self._hours.get(model, {}), clock.write(start)[:_HOUR], ":00:00Z")

    def minutes(self, model: str) -> list[tuple[str, Tally]]:
        """Likewise the minutes of the last hour."""
        start = clock.write(dt.datetime.now(dt.UTC) - dt.timedelta(hours=1))
        return _from(self._minutes.get(model, {}), start[:_MINUTE], ":00Z")

    def _count(self, at: str, model: str, task: str, result: Mapping[str, Any]) -> None:
        for times, length in ((self._hours, _HOUR), (self._minutes, _MINUTE)):
            times[model][at[:length]].count(task, result)

    def _forget(self) -> None:
        """Drop what is too old."""
        now = dt.datetime.now(dt.UTC)
        for times, kept in ((self._hours, KEPT), (self._minutes, dt.timedelta(hours=1))):
            first = clock.write(now - kept)
            for tallies in times.values():
                for at in [at for at in tallies if at < first[: len(at)]]:
                    del tallies[at]


_PREDICTED = (
    sa.select(PREDICTIONS.c.at, PREDICTIONS.c.model, PREDICTIONS.c.task, PREDICTIONS.c.result)
    .join(AUDIT, AUDIT.c.event == PREDICTIONS.c.id)
    .where(PREDICTIONS.c.task.in_(NOTES))
    .order_by(AUDIT.c.seq)
)
_ANSWERED = (
    sa.select(PREDICTIONS.c.at, PREDICTIONS.c.model, FEEDBACK.c.prediction, FEEDBACK.c.verdict)
    .join(AUDIT, AUDIT.c.event == FEEDBACK.c.id)
    .join(PREDICTIONS, PREDICTIONS.c.id == FEEDBACK.c.prediction)
    .where(PREDICTIONS.c.task == _DIAGNOSE)
    .order_by(AUDIT.c.seq)
)


def _read(connection: sa.Connection, ids: Iterable[str | None]) -> dict[str, Mapping[str, Any]]:
    """Predictions by id; those that were recorded before shadows named them have none."""
    wanted = PREDICTIONS.c.id.in_({one for one in ids if one is not None})
    rows = connection.execute(sa.select(PREDICTIONS.c.id, PREDICTIONS.c.result).where(wanted))
    return {found: json.loads(result) for found, result in rows}


def _first(result: Mapping[str, Any]) -> str | None:
    """The likeliest label."""
    return max(result["probabilities"], key=result["probabilities"].get, default=None)


def _decision(result: Mapping[str, Any]) -> frozenset[str] | None:
    """The labels decided for; None where the model abstained."""
    return None if result["abstained"] else frozenset(result["chosen"])


def _begin(connection: sa.Connection) -> int:
    """The log's number before the first prediction that is not too old."""
    start = clock.write(dt.datetime.now(dt.UTC) - KEPT)
    first = (
        sa.select(PREDICTIONS.c.id)
        .where(PREDICTIONS.c.at >= start)
        .order_by(PREDICTIONS.c.at)
        .limit(1)
        .scalar_subquery()
    )
    found = connection.execute(sa.select(AUDIT.c.seq).where(AUDIT.c.event == first)).scalar()
    # What was committed together may be numbered a little before its time.
    return max((found or 1) - _STRIDE, 0)


def _from(tallies: Mapping[str, Tally], first: str, rest: str) -> list[tuple[str, Tally]]:
    return [(at + rest, tallies[at]) for at in sorted(tallies) if at >= first]

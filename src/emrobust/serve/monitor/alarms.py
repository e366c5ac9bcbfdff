"""Which checks are not calm, since when, and what to do; every change is told to the audit log.

A level rises at once and falls when three looks in a row found it lower, so that a value at the
border does not ring all day.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple, final

import sqlalchemy as sa

from emrobust.serve.monitor.level import Level, rank
from emrobust.serve.store import Database, Event, chain, clock
from emrobust.serve.store.entries import to_rows
from emrobust.serve.store.schema import ALARMS

ACTOR = "monitor"
_LOOKS = 3


class Words(NamedTuple):
    """What a check is called and what to do, by language."""

    title: dict[str, str]
    advice: dict[str, str]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: ``input.length``, ``labels`` …
        level: of it.
        value: its size.
        threshold: that makes it an alarm.
    """

    name: str
    level: Level
    value: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Alarm:
    """A check that is not calm, and since when."""

    name: str
    level: Level
    since: str


@final
class Alarms:
    """The levels of all checks; they outlive a restart. Not for several threads at once.

    Args:
        database: the store's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lower: dict[tuple[str, str], int] = {}

    def update(self, model: str, checks: Sequence[Check]) -> list[Alarm]:
        """Take a look's findings; the alarms that are on, the worst first.

        Raises:
            EmrobustError: the store is away or full; nothing changed then.
        """
        known = {of.name: of for of in self.read(model)}
        changed = [
            (check, before)
            for check in checks
            if (before := known.get(check.name)) is not None or rank(check.level) > rank("calm")
            if self._changes(model, check, before)
        ]
        if changed:
            self._write(model, changed)
            known = {of.name: of for of in self.read(model)}
        return sorted(known.values(), key=lambda of: (-rank(of.level), of.since, of.name))

    def read(self, model: str) -> list[Alarm]:
        """The alarms that are on."""
        asked = sa.select(ALARMS.c.name, ALARMS.c.level, ALARMS.c.since).where(
            ALARMS.c.model == model
        )
        with self._database.read() as connection:
            return [Alarm(*row) for row in connection.execute(asked)]

    def _changes(self, model: str, check: Check, before: Alarm | None) -> bool:
        """Whether a level changes now."""
        level = "calm" if before is None else before.level
        if rank(check.level) >= rank(level) or check.level == "unknown":
            self._lower.pop((model, check.name), None)
            return rank(check.level) > rank(level)
        looks = self._lower[model, check.name] = self._lower.get((model, check.name), 0) + 1
        return looks >= _LOOKS

    def _write(self, model: str, changed: Sequence[tuple[Check, Alarm | None]]) -> None:
        at = clock.now()
        told = []
        with self._database.write() as connection:
            for check, before in changed:
                here = sa.and_(ALARMS.c.model == model, ALARMS.c.name == check.name)
                connection.execute(sa.delete(ALARMS).where(here))
                if rank(check.level) > rank("calm"):
                    values = {"model": model, "name": check.name, "level": check.level, "since": at}
                    connection.execute(sa.insert(ALARMS), values)
                was = "calm" if before is None else before.level
                event = Event(
                    actor=ACTOR,
                    action=f"monitor {check.level}",
                    model=model,
                    detail={"check": check.name, "before": was, "value": check.value},
                )
                told.append(to_rows(event).audit)
            chain.append(self._database, connection, told)
        for check, _ in changed:
            self._lower.pop((model, check.name), None)


def load_words() -> dict[str, Words]:
    """Check → what it is called and what to do."""
    file = resources.files(__package__).joinpath("alarms.toml")
    table: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    inputs = {f"input.{name}": words for name, words in table.pop("input").items()}
    return {name: Words(**words) for name, words in {**table, **inputs}.items()}

"""The time as the store writes it: UTC with microseconds, text that sorts as time does."""

from __future__ import annotations

import datetime as dt

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def now(ahead: float = 0.0) -> str:
    """This moment, or ``ahead`` seconds later; 27 characters."""
    return write(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=ahead))


def write(moment: dt.datetime) -> str:
    """A moment with a time zone, as the store writes it."""
    return moment.astimezone(dt.UTC).strftime(_FORMAT)


def read(text: str) -> dt.datetime:
    """The moment that `write` wrote."""
    return dt.datetime.strptime(text, _FORMAT).replace(tzinfo=dt.UTC)

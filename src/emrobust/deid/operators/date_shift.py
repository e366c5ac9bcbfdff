"""Date shift: every date of a patient moves by the same secret number of days."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar, final

from emrobust.deid import dates
from emrobust.deid.operator import Operator, Subject
from emrobust.registry import register


def days_of(subject: Subject, most: int) -> int:
    """How many days a patient's dates move: −most … most, never 0, from key and patient."""
    place = subject.secret().number("date shift", subject.patient) % (2 * most)
    return place - most + (place >= most)


def move_time(time: dt.datetime, subject: Subject, most: int) -> dt.datetime:
    """A visit's time moved like the dates of its text; the time of day stays."""
    return time + dt.timedelta(days=days_of(subject, most))


@register("operator")
@final
class DateShift(Operator):
    """Keeps intervals and the written form; the visit's own time must move along.

    Intervals between full dates of one patient stay exact; those with partial dates stay as
    exact as the writing is (`emrobust.deid.dates`). A text that holds no date, or two, is left
    to the placeholder.

    Args:
        days: the longest shift, in either direction.
    """

    keyed: ClassVar[bool] = True

    def __init__(self, *, days: int = 180) -> None:
        self.days = max(1, days)

    def replace(self, value: str, kind: str, subject: Subject) -> str | None:
        """The date, moved; None where it is no date or cannot be read."""
        written = dates.parse(value, subject.language) if kind == "date" else None
        if written is None:
            return None
        visit = subject.time.date() if subject.time else None
        return written.move(days_of(subject, self.days), visit)

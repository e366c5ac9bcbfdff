"""Why a job failed, as a word that programs and other languages can use.

The store keeps a sentence in English. It is read here, so that jobs which failed long ago have a
word too; a sentence that nobody foresaw has none.
"""

from __future__ import annotations

from typing import Literal

from emrobust.serve.store.jobs import Job

Cause = Literal["no_rows", "no_usable_rows", "no_model", "no_table", "stalled"]
_SAID: tuple[tuple[str, Cause], ...] = (
    ("has a header but no rows", "no_rows"),
    ("rows can be used", "no_usable_rows"),
    ("there is no such model", "no_model"),
    ("is not on this machine", "no_table"),
    ("workers in a row were stopped", "stalled"),
)


def cause_of(job: Job) -> Cause | None:
    """The cause of a job that failed; None of another, or where no word fits."""
    if job.state != "failed":
        return None
    return next((cause for said, cause in _SAID if said in (job.reason or "")), None)

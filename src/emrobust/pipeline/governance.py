"""The data-use record at every door: that it names nobody, and that its last day is not over."""

from __future__ import annotations

import datetime as dt

from emrobust.config import Governance, Project
from emrobust.deid import detect
from emrobust.errors import ConfigError

# What a record that is read by others must not hold. Hospitals, dates and numbers of files are
# what such a record is made of.
_PERSONAL = frozenset(
    {
        "patient_name", "relative_name", "doctor_name", "person_name", "id_card", "phone", "email",
        "account", "bank_card", "social_security", "passport", "permit",
    }
)  # fmt: skip
_TEXTS = ("approval", "purpose", "legal_basis", "responsible_role")


def check(project: Project, today: dt.date | None = None) -> None:
    """Refuse a project whose data-use record is over or names a person.

    Args:
        project: whose record to look at; one without a record passes.
        today: the day that it is; absent: this machine's.

    Raises:
        ConfigError: says which key, and what to do.
    """
    project.governance.refuse_expired(today)
    _refuse_persons(project.governance)


def _refuse_persons(record: Governance) -> None:
    given = record.public()
    for key in _TEXTS if given else ():
        kinds = {span.kind for span in detect.detect(str(given[key]), detect.load())} & _PERSONAL
        if kinds:
            raise ConfigError(
                f"`governance.{key}` seems to hold personal data ({', '.join(sorted(kinds))})",
                "The record goes into every report: name an office (信息科主任), no person.",
            )

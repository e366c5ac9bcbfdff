"""The section "Data use" of every report: the record of ``[governance]`` in the reader's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from emrobust.config import Governance
from emrobust.report.words import Words

STRINGS = "data_use_strings.toml"
Record = Mapping[str, str | int]


class DataUse(NamedTuple):
    """The section.

    Attributes:
        heading: of the section.
        text: above the table, or instead of it where no record was given.
        rows: name and value of every entry.
    """

    heading: str
    text: str
    rows: list[tuple[str, str]]


def describe(record: Record, language: str) -> DataUse:
    """The section for a record; `emrobust.config.Governance.public` gives one.

    Args:
        record: by the keys of ``[governance]``; empty where none was given.
        language: ``zh`` or ``en``.
    """
    w = Words(language, STRINGS)
    shown = {**record, **({"data_level": level(record, w)} if record else {})}
    rows = [(w(key), str(shown[key])) for key in Governance.model_fields if key in shown]
    return DataUse(w("heading"), w("text" if rows else "none"), rows)


def level(record: Record, w: Words) -> str:
    """The data level with its meaning."""
    number = record["data_level"]
    return w("level", number=number, meaning=w(f"level_{number}"))

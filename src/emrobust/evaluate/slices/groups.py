"""Which group each record is in, by what is known of it besides its text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from emrobust import records
from emrobust.evaluate.suites.shift import values_of

# Years of age at which a band begins.
AGES = (0, 18, 45, 60, 75)
# Smaller values of a department or site are measured together.
_LEAST = 30
OTHERS = "…"
_NUMBER = re.compile(r"\d+")
Aspects = dict[str, list[str | None]]


def aspects_of(table: pa.Table) -> Aspects:
    """Aspect → the group of each record, None where it is not known.

    Aspects: sex, age, department, site, year and length (thirds of the texts by length).
    Aspects with fewer than two groups are left out: there is nothing to compare.
    """
    lengths = np.array([len(text) for text in records.join_text(table)])
    found: Aspects = {
        "sex": table["sex"].to_pylist(),
        "age": [_band(age) for age in table["age"].to_pylist()],
        "department": _pooled(values_of(table, "department")),
        "site": _pooled(values_of(table, "site")),
        "year": _pooled(values_of(table, "year")),
        "length": _thirds(lengths),
    }
    return {name: of for name, of in found.items() if len(set(of) - {None}) > 1}


def ordered(values: Sequence[str | None]) -> list[str]:
    """The groups of an aspect once each: by their first number, or by name."""

    def key(value: str) -> tuple[bool, int, str]:
        number = _NUMBER.match(value)
        return number is None, int(number[0]) if number else 0, value

    return sorted({value for value in values if value is not None}, key=key)


def _band(age: float | None) -> str | None:
    if age is None or np.isnan(age):
        return None
    place = int(np.searchsorted(AGES, age, side="right")) - 1
    if place + 1 == len(AGES):
        return f"{AGES[-1]}+"
    return f"{AGES[max(place, 0)]}–{AGES[max(place, 0) + 1] - 1}"


def _pooled(values: Sequence[str | None]) -> list[str | None]:
    counts = Counter(value for value in values if value is not None)
    small = {value for value, n in counts.items() if n < _LEAST}
    if len(small) < 2:
        return list(values)
    return [OTHERS if value in small else value for value in values]


def _thirds(lengths: np.ndarray) -> list[str | None]:
    if not len(lengths):
        return []
    low, high = (int(cut) for cut in np.quantile(lengths, (1 / 3, 2 / 3)))
    names = [f"0–{low}", f"{low + 1}–{high}", f"{high + 1}+"]
    return [names[int(n > low) + int(n > high)] for n in lengths]

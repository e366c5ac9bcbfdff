"""Risk of re-identification over the quasi-identifiers: k-anonymity, l-diversity, benchmarks.

Who knows a neighbour's age band, sex, clinic, the quarter of the visit and an unusual diagnosis
finds all records that fit. The fewer patients fit, the likelier it is the neighbour. Patients, not
records, are counted, and the records are taken for the whole population (a prosecutor's view: the
attacker knows that the neighbour is in the table), so the risk is never understated. A patient
whose visits are in several classes counts once, in the smallest of them.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from emrobust import records
from emrobust.deid.audit import hash_of

QUASI = ("age_band", "sex", "site", "quarter", "rare_diagnosis")
_COLUMNS = ["patient_id", "visit_time", "site", "sex", "age", "labels"]
_SIZES = (2, 5, 11, 20)


def benchmarks() -> dict[str, Any]:
    """The table of thresholds, ``tables/risk.toml``."""
    file = resources.files("emrobust.deid") / "tables" / "risk.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


def measure(path: Path, *, direct_left: int = 0, operators_kept: int = 0) -> dict[str, Any]:
    """k-anonymity, l-diversity and risks of a records file, as plain JSON values.

    Memory grows with the number of patients by some 24 bytes each, not with the texts.

    Args:
        path: ``records.parquet``.
        direct_left: direct identifiers that are known to be left, for the grade.
        operators_kept: direct kinds that the project keeps, for the grade.
    """
    table = benchmarks()
    counts = _diagnosis_counts(path)
    rare = {name for name, patients in counts.items() if patients < table["rare_patients"]}
    numbers: dict[tuple[str, ...], int] = {}
    pairs: list[np.ndarray] = []
    labels: defaultdict[int, set[str]] = defaultdict(set)
    for rows in _rows(path):
        block = np.empty((len(rows), 2), dtype=np.uint64)
        for place, (patient, quasi, codes) in enumerate(rows):
            shown = ";".join(sorted({c for c in codes if c in rare}))
            number = numbers.setdefault((*quasi, shown), len(numbers))
            block[place] = number, hash_of(patient)
            if len(labels[number]) < table["most_labels"]:
                labels[number].update(codes or ("",))
        pairs.append(np.unique(block, axis=0))
    if not pairs:
        return {}
    distinct = np.unique(np.concatenate(pairs), axis=0)
    sizes = np.bincount(distinct[:, 0].astype(np.int64), minlength=len(numbers))
    diversity = np.array([len(labels[number]) for number in range(len(numbers))])
    facts = {"classes": len(sizes), "l": int(diversity.min()), "rare_diagnoses": len(rare)}
    return facts | _conclude(table, _smallest(distinct, sizes), direct_left + operators_kept)


def _smallest(pairs: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Of each patient the size of the smallest class that one of the visits is in."""
    patients, place = np.unique(pairs[:, 1], return_inverse=True)
    found = np.full(len(patients), sizes.max())
    np.minimum.at(found, place, sizes[pairs[:, 0].astype(np.int64)])
    return found


def _conclude(table: dict[str, Any], sizes: np.ndarray, direct: int) -> dict[str, Any]:
    """Risks from the size of each patient's class."""
    people = len(sizes)
    maximum, average = 1 / int(sizes.min()), float((1 / sizes).mean())
    return {
        "quasi_identifiers": list(QUASI),
        "patients": people,
        "k": int(sizes.min()),
        "k_median": float(np.median(sizes)),
        "maximum_risk": maximum,
        "average_risk": average,
        "share_below": {str(k): float((sizes < k).mean()) for k in _SIZES},
        "sizes": _histogram(sizes),
        "benchmarks": [
            {
                "name": name,
                "measure": of["measure"],
                "threshold": of["threshold"],
                "risk": maximum if of["measure"] == "maximum" else average,
                "met": (maximum if of["measure"] == "maximum" else average) <= of["threshold"],
            }
            for name, of in table["benchmarks"].items()
        ],
        "grade": _grade(table, maximum, direct),
    }


def _grade(table: dict[str, Any], maximum: float, direct: int) -> int:
    """1: direct identifiers; 2: none, but a risk above the threshold; 3: at or below it.

    Grade 4 is for aggregates, which a table of records never is.
    """
    if direct:
        return 1
    return 3 if maximum <= table["grade_threshold"] else 2


def _histogram(sizes: np.ndarray) -> list[tuple[str, int]]:
    """Patients by the size of the class that they are in."""
    edges = (1, 2, 3, 5, 11, 20, 50, 100)
    ends = (*edges[1:], None)
    return [
        (_label(low, high), int(((sizes >= low) & (sizes < (high or np.inf))).sum()))
        for low, high in zip(edges, ends, strict=True)
    ]


def _label(low: int, high: int | None) -> str:
    if high is None:
        return f"≥{low}"
    return str(low) if high == low + 1 else f"{low}–{high - 1}"


def _diagnosis_counts(path: Path) -> dict[str, int]:
    """Diagnosis → patients, one for each visit where a patient's visits are in several batches."""
    counts: Counter[str] = Counter()
    for rows in _rows(path):
        counts.update(name for _, name in {(p, c) for p, _, codes in rows for c in codes})
    return counts


def _rows(path: Path) -> Iterator[list[tuple[str, tuple[str, ...], tuple[str, ...]]]]:
    for batch in records.read_batches(path, _COLUMNS):
        columns = (batch.column(name).to_pylist() for name in _COLUMNS)
        yield [
            (patient, (band(age), sex or "", site or "", quarter(time)), _categories(labels))
            for patient, time, site, sex, age, labels in zip(*columns, strict=True)
        ]


def band(age: float | None, width: int = 5, top: int = 90) -> str:
    """The age band of an age in years."""
    if age is None:
        return ""
    low = min(int(age) // width * width, top)
    return f"{low}+" if low == top else f"{low}–{low + width - 1}"


def quarter(time: dt.datetime | None) -> str:
    """The quarter of a time."""
    return f"{time.year}Q{(time.month + 2) // 3}" if time else ""


def _categories(labels: list[str] | None) -> tuple[str, ...]:
    """The diagnoses by category: I20 for I20.800x007, and plain names as they are."""
    return tuple({label.split(".")[0] for label in labels or () if label})

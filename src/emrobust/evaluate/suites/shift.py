"""Records from a site, a year or a department that the training records do not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emrobust import config
from emrobust.evaluate.predictions import Predictions
from emrobust.evaluate.suites.measure import SuiteScore, compare

ASPECTS = ("site", "year", "department")
# Fewer records measure nothing.
_LEAST = 30
# Aspect → value → training records; kept with a run, so that another table can be held against it.
Seen = Mapping[str, Mapping[str, int]]


def values_of(table: pa.Table, aspect: str) -> list[str | None]:
    """An aspect of each record as text; None where it is not known."""
    if aspect == "year":
        column = pc.cast(pc.year(table["visit_time"]), pa.string())
    else:
        column = table[aspect]
    found: list[str | None] = column.to_pylist()
    return found


def seen_of(table: pa.Table) -> dict[str, dict[str, int]]:
    """What training records (split ``train``) are from: counts by aspect and value."""
    trained = table.filter(pc.equal(table["split"], "train"))
    found: dict[str, dict[str, int]] = {}
    for aspect in ASPECTS:
        counts: dict[str, int] = {}
        for value in values_of(trained, aspect):
            if value is not None:
                counts[value] = counts.get(value, 0) + 1
        found[aspect] = counts
    return found


def measure_shift(
    seen: Seen, table: pa.Table, of: Predictions, *, settings: config.Evaluate, seed: int
) -> tuple[list[SuiteScore], dict[str, str]]:
    """Scores of records from elsewhere beside those of the other test records.

    Where every test record is from elsewhere, there is nothing to compare with: that is said.

    Args:
        seen: what training records are from.
        table: metadata of the test records, in the order of the predictions.
        of: their predictions.
        settings: draws, confidence and bins.
        seed: of the bootstrap.

    Returns:
        scores, and for each aspect without one the reason: ``unknown``, ``none``, ``few``
        or ``all``.
    """
    scores, why = [], {}
    for aspect in ASPECTS:
        known = seen.get(aspect, {})
        values = values_of(table, aspect)
        away = np.array([value is not None and value not in known for value in values], dtype=bool)
        reason = _reason(values, known, away)
        if reason:
            why[aspect] = reason
            continue
        names = sorted({str(value) for value, is_away in zip(values, away, strict=True) if is_away})
        sides = [only(of, ~away), only(of, away)]
        about = {"values": names}
        scores.append(
            compare(f"other-{aspect}", "shift", *sides, settings=settings, seed=seed, about=about)
        )
    return scores, why


def _reason(values: Sequence[str | None], known: Mapping[str, int], away: np.ndarray) -> str:
    if not known or all(value is None for value in values):
        return "unknown"
    if not away.any():
        return "none"
    if away.all():
        return "all"
    return "few" if min(away.sum(), (~away).sum()) < _LEAST else ""


def only(of: Predictions, rows: np.ndarray) -> Predictions:
    """Some of the rows, patients numbered as before so that draws stay the same."""
    return replace(
        of,
        truth=of.truth[rows],
        probability=of.probability[rows],
        predicted=of.predicted[rows],
        patient=of.patient[rows],
    )

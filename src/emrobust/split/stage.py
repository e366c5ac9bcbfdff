"""Stage: every row gets its split or fold; what crosses between them is found and reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emrobust import records, rejects, runs
from emrobust.records import SPLITS
from emrobust.runs import Summary
from emrobust.split import duplicates, visits
from emrobust.split.duplicates import Duplicates
from emrobust.split.plans import Plan, Settings, plan, shares
from emrobust.split.stratify import deviations, within_bound
from emrobust.split.visits import Visits

FILE = "split.json"


def split(settings: Settings, source: Path, target: Path) -> Summary:
    """Divide the records.

    Rows that cannot be placed are refused: without a time in a split by time; in a split by
    site, visits elsewhere of patients whom the held-out site knows.

    Args:
        settings: ``[split]`` and the seed.
        source: folder with the records; their labels are what is stratified.
        target: empty folder for the records, split.json and rejects.csv.

    Returns:
        rows, rejects, and notes: the main facts of split.json.

    Raises:
        SplitError: a part would be empty, or a setting does not fit the records.
    """
    file = source / records.FILE
    of = visits.read(file)
    made = plan(settings, of, file)
    names = SPLITS if settings.folds is None else [f"fold {n}" for n in range(settings.folds)]
    found = duplicates.find(file, made.parts, of.patients, settings.near_duplicates, settings.seed)
    rows, refused = _write(file, target, made, settings.folds is not None)
    records.check(target / records.FILE, split=True, by_time=settings.by == "time")
    facts = {
        **_facts(settings, of, made, names),
        "leakage": {
            **_leakage(of, made.parts, found, names),
            "near_threshold": settings.near_duplicates,
            "pairs": _pairs(file, made.parts, found, names),
        },
    }
    runs.write_json(target / FILE, facts)
    kept = ("by", "rows", "patients", "worst", "labels_outside_bound", "decided")
    notes = {key: facts[key] for key in kept} | {
        "leakage": {key: value for key, value in facts["leakage"].items() if key != "pairs"}
    }
    return Summary(len(of), rows, refused, notes)


def _write(file: Path, target: Path, made: Plan, folds: bool) -> tuple[int, dict[str, int]]:
    with rejects.open_in(target) as refused:
        batches = _placed(file, made, refused, folds)
        rows = records.write(target / records.FILE, records.read_schema(file), batches)
    return rows, dict(refused.counts)


def _placed(
    file: Path, made: Plan, refused: rejects.Rejects, folds: bool
) -> Iterator[pa.RecordBatch]:
    names = pa.array(SPLITS)
    start = 0
    for batch in records.read_batches(file):
        parts = made.parts[start : start + batch.num_rows]
        for row in np.flatnonzero(parts < 0):
            record_id = batch.column("record_id")[int(row)].as_py()
            refused.add(start + int(row) + 1, record_id, made.column, made.reason)
        start += batch.num_rows
        known = pa.array(parts, pa.int32(), mask=parts < 0)
        nothing = pa.nulls(len(parts), pa.string() if folds else pa.int32())
        new = {
            "split": nothing if folds else names.take(known),
            "fold": known if folds else nothing,
        }
        columns = [new.get(n, batch.column(n)) for n in batch.schema.names]
        placed = pa.RecordBatch.from_arrays(columns, schema=batch.schema)
        yield placed.filter(pa.array(parts >= 0))


def _facts(settings: Settings, of: Visits, made: Plan, names: Sequence[str]) -> dict[str, Any]:
    kept = made.parts >= 0
    parts, labels = made.parts[kept], of.labels[kept]
    rows = np.bincount(parts, minlength=len(names))
    worst = deviations(labels, np.ones(len(parts)), parts)
    held = np.stack([np.asarray(labels[parts == p].sum(axis=0)).ravel() for p in range(len(names))])
    outside = {of.label_names[d.label] for d in worst if not within_bound(d)}
    return {
        "by": settings.by,
        "seed": settings.seed,
        "wanted": dict(zip(names, shares(settings).tolist(), strict=False)),
        "rows": dict(zip(names, rows.tolist(), strict=True)),
        "patients": {
            name: len(np.unique(of.patients[kept][parts == p])) for p, name in enumerate(names)
        },
        "labels": {
            label: dict(zip(names, held[:, place].astype(int).tolist(), strict=True))
            for place, label in enumerate(of.label_names)
        },
        "worst": [
            {
                "label": of.label_names[d.label],
                "split": names[d.part],
                "relative": round(d.relative, 4),
                "rows": round(d.rows, 2),
            }
            for d in worst[:10]
        ],
        "labels_outside_bound": sorted(outside),
        "decided": made.facts,
    }


def _leakage(
    of: Visits, parts: np.ndarray, found: Duplicates, names: Sequence[str]
) -> dict[str, Any]:
    kept = parts >= 0
    places = np.unique(of.patients[kept] * len(names) + parts[kept]) // len(names)
    return {
        "patients_in_two_splits": int((np.bincount(places) > 1).sum()),
        "identical_pairs": found.identical_pairs,
        "identical_pairs_of_different_patients": found.identical_pairs_of_different_patients,
        "identical_texts": found.identical_texts,
        "near_pairs": found.near_pairs,
        "near_pairs_is_lower_bound": found.near_is_lower_bound,
        "rows_with_duplicate_elsewhere": dict(zip(names, found.near_rows, strict=False)),
    }


def _pairs(
    file: Path, parts: np.ndarray, found: Duplicates, names: Sequence[str]
) -> list[dict[str, Any]]:
    rows = sorted({row for pair in found.listed for row in (pair.first, pair.second)})
    taken = records.read(file, ["record_id"])["record_id"].take(pa.array(rows, pa.int64()))
    ids = dict(zip(rows, taken.to_pylist(), strict=True))
    return [
        {
            "records": [ids[pair.first], ids[pair.second]],
            "splits": [names[parts[pair.first]], names[parts[pair.second]]],
            "similarity": pair.similarity,
        }
        for pair in found.listed
    ]

"""Rewriting the labels of a records table, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from emrobust import records, rejects
from emrobust.errors import LabelError
from emrobust.runs import Summary


class Verdict(NamedTuple):
    """What becomes of a row: its labels, or why it is refused."""

    labels: Sequence[str]
    reason: str = ""
    where: str = ""


Relabel = Callable[[Sequence[str]], Verdict]


def rewrite(source: Path, target: Path, relabel: Relabel) -> Summary:
    """Write ``source``'s records to ``target`` with new labels; refused rows go to rejects.csv.

    Args:
        source: folder with the records.
        target: the stage's folder.
        relabel: from the labels of a row to its verdict.

    Returns:
        rows and rejects, without notes.

    Raises:
        LabelError: no row is left.
    """
    file = source / records.FILE
    with rejects.open_in(target) as refused:
        batches = _rewritten(file, relabel, refused)
        rows = records.write(target / records.FILE, records.read_schema(file), batches)
    counts = dict(refused.counts)
    if rows == 0:
        reasons = "; ".join(f"{n} rows: {reason}" for reason, n in counts.items()) or "no rows"
        raise LabelError(
            f"no row of {file} is left once its labels are read ({reasons})",
            "Is [source.columns] labels the right column, and [labels] kind the right kind?",
        )
    return Summary(rows + sum(counts.values()), rows, counts)


def _rewritten(file: Path, relabel: Relabel, refused: rejects.Rejects) -> Iterator[pa.RecordBatch]:
    row = 0
    for batch in records.read_batches(file):
        verdicts = [relabel(labels or ()) for labels in batch.column("labels").to_pylist()]
        for place, verdict in enumerate(verdicts):
            if verdict.reason:
                record_id = batch.column("record_id")[place].as_py()
                refused.add(row + place + 1, record_id, "labels", verdict.reason, verdict.where)
        row += batch.num_rows
        yield _with_labels(batch, verdicts)


def _with_labels(batch: pa.RecordBatch, verdicts: Sequence[Verdict]) -> pa.RecordBatch:
    labels = pa.array([list(verdict.labels) for verdict in verdicts], pa.list_(pa.string()))
    place = batch.schema.get_field_index("labels")
    kept = pa.array([not verdict.reason for verdict in verdicts])
    columns = [labels if i == place else column for i, column in enumerate(batch.columns)]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema).filter(kept)

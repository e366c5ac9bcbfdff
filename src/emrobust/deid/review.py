"""The local check: a sample for a reader of the hospital, and what the corrections say.

The sheet holds originals and stays in the hospital; the corrections that come back hold places
and kinds, never text. Recall and precision hold for the hospital that was sampled.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from emrobust import records
from emrobust.deid import audit, detect
from emrobust.deid.rows import Worker, needles_of
from emrobust.deid.spans import Span
from emrobust.errors import InputError
from emrobust.placeholders import PLACEHOLDERS

VERSION = 1
_Verdict = Literal["right", "wrong"]


@dataclass(frozen=True)
class Document:
    """A record on the sheet.

    Attributes:
        row: its number in the records, from 1.
        fields: text field → the original and the spans that would be taken out.
    """

    row: int
    fields: dict[str, tuple[str, list[Span]]] = field(repr=False)


def draw(
    batches: Iterable[pa.RecordBatch], worker: Worker, count: int, seed: int
) -> list[Document]:
    """Records drawn evenly from a stream, with what the detectors find in them.

    Memory holds ``count`` records, whatever the length of the stream.

    Args:
        batches: records with their columns of identifiers.
        worker: of the project.
        count: how many.
        seed: the same seed draws the same rows.
    """
    # The rows with the smallest hashes are a fair sample of a stream of unknown length.
    kept: list[tuple[int, int, pa.RecordBatch]] = []
    row = 0
    for batch in batches:
        for place in range(batch.num_rows):
            row += 1
            rank = -audit.hash_of(f"review {seed} {row}")
            if len(kept) < count:
                heapq.heappush(kept, (rank, row, batch.slice(place, 1)))
            elif rank > kept[0][0]:
                heapq.heapreplace(kept, (rank, row, batch.slice(place, 1)))
    ordered = sorted(kept, key=lambda item: item[1])
    return [_document(number, of_row, worker) for _, number, of_row in ordered]


def _document(row: int, of_row: pa.RecordBatch, worker: Worker) -> Document:
    columns = {name: of_row.column(name).to_pylist() for name in of_row.schema.names}
    known = needles_of(columns, 1).row(0)
    fields = {}
    for name in worker.fields(columns):
        text = columns[name][0]
        if text.strip():
            found = detect.detect(text, worker.treatment.detectors, known or None)
            fields[name.removeprefix(records.TEXT_PREFIX)] = (text, found)
    return Document(row, fields)


def sheet(documents: Iterable[Document]) -> dict[str, Any]:
    """The sheet's content as plain JSON values; it holds the originals."""
    listed = [
        {
            "row": document.row,
            "fields": [
                {
                    "name": name,
                    "text": text,
                    "spans": [[s.start, s.end, s.kind, s.evidence] for s in found],
                }
                for name, (text, found) in document.fields.items()
            ],
        }
        for document in documents
    ]
    places = [[d["row"], [[f["name"], len(f["text"])] for f in d["fields"]]] for d in listed]  # type: ignore[attr-defined]
    digest = hashlib.sha256(json.dumps(places).encode()).hexdigest()[:12]
    return {"version": VERSION, "sheet": digest, "documents": listed}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Field(_Strict):
    """One text field as it was corrected: ``[start, end, kind, verdict]`` and ``[…, kind]``."""

    name: str
    spans: tuple[tuple[int, int, str, _Verdict], ...]
    missed: tuple[tuple[int, int, str], ...]


class Reviewed(_Strict):
    """One record as it was corrected."""

    row: int
    reviewed: bool
    fields: tuple[Field, ...]


class Corrections(_Strict):
    """The file that the sheet exports."""

    version: Literal[1]
    sheet: str
    documents: tuple[Reviewed, ...]


def read(path: Path) -> Corrections:
    """Read the corrections.

    Raises:
        InputError: the file is missing, or not what a sheet exports.
    """
    try:
        return Corrections.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(
            f"{path} is not what a review sheet exports: {where}: {first['msg']}",
            "Export it again with the button on the sheet.",
        ) from None


def measure(corrections: Corrections) -> dict[str, Any]:
    """Counts by kind and by whole record, and shares with Wilson intervals, as JSON values.

    Only records that were ticked as read count.

    Raises:
        InputError: no record was.
    """
    read_ones = [document for document in corrections.documents if document.reviewed]
    if not read_ones:
        raise InputError(
            "no record of the sheet is ticked as reviewed", "Tick each record once it is read."
        )
    counts: Counter[tuple[str, str]] = Counter()
    clean = 0
    for document in read_ones:
        clean += not any(of.missed for of in document.fields)
        for of in document.fields:
            counts.update((kind, verdict) for *_, kind, verdict in of.spans if kind in PLACEHOLDERS)
            counts.update((kind, "missed") for *_, kind in of.missed if kind in PLACEHOLDERS)
    for (_, which), number in list(counts.items()):
        counts["all", which] += number
    present = {kind for kind, _ in counts}
    kinds = ["all", *(kind for kind in PLACEHOLDERS if kind in present)]
    return {
        "sheet": corrections.sheet,
        "documents": len(read_ones),
        "clean": clean,
        "whole_document_recall": audit.wilson(clean, len(read_ones)),
        "kinds": {kind: _shares({w: counts[kind, w] for w in _WHICH}) for kind in kinds},
    }


_WHICH = ("right", "wrong", "missed")


def _shares(of: Mapping[str, int]) -> dict[str, Any]:
    return {
        **of,
        "recall": audit.wilson(of["right"], of["right"] + of["missed"]),
        "precision": audit.wilson(of["right"], of["right"] + of["wrong"]),
    }

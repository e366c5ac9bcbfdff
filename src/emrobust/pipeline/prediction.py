"""A model applied to a table of any size: batch by batch, into a file that is whole or absent."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emrobust import config, ingest, progress, records, rejects, runs
from emrobust.errors import ConfigError
from emrobust.ingest import Through
from emrobust.language import count_foreign, describe_foreign

SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("labels", pa.list_(pa.string())),
        pa.field("probabilities", pa.list_(pa.float32())),
        pa.field("likeliest", pa.string()),
        pa.field("likeliest_probability", pa.float32()),
    ]
)


SURE_SCHEMA = SCHEMA.append(pa.field("prediction_set", pa.list_(pa.string()))).append(
    pa.field("reasons", pa.list_(pa.string()))
)


class Scored(NamedTuple):
    """What a model says of some texts.

    Attributes:
        probability: calibrated, [texts, labels].
        decided: the model's own decisions, 0 and 1, [texts, labels].
        more: further columns of ``schema``, each with a value a text.
    """

    probability: np.ndarray
    decided: np.ndarray
    more: Mapping[str, Sequence[Any]] = {}


Score = Callable[[Sequence[str]], Scored]
# Predictions of some records at a time.
Rows = Iterable[list[dict[str, Any]]]


def predict(
    score: Score,
    names: tuple[str, ...],
    source: config.Source,
    out: Path,
    *,
    language: str,
    through: Through | None = None,
    schema: pa.Schema = SCHEMA,
) -> runs.Summary:
    """Predict every record of a source.

    Each row holds the predicted labels, the likeliest first, with their probabilities, and the
    likeliest label of all even where none reaches its threshold. Refused rows are listed beside
    the file, in ``NAME.rejects.csv``.

    Args:
        score: the model.
        names: its labels, in column order.
        source: the table; it needs the columns of the record's number and the texts alone.
        out: .csv (labels joined by ``;``), .jsonl or .parquet.
        language: of the texts that the model knows, ``zh`` or ``en``.
        through: treats the records before they are predicted, such as `emrobust.deid`.
        schema: `SCHEMA`, or with more columns that ``score`` fills.

    Returns:
        rows and rejects, and in the notes ``absent_columns``: named columns that the table lacks,
        and ``warnings``.

    Raises:
        ConfigError: another ending.
        InputError: the table cannot be read.
        StorageError: ``out`` cannot be written.
    """
    check_ending(out)
    absent: list[str] = []
    foreign = 0

    def look_and_score(texts: Sequence[str]) -> Scored:
        nonlocal foreign
        foreign += count_foreign(texts, language)
        return score(texts)

    with (
        rejects.open_in(out.parent, f"{out.stem}.rejects.csv") as refused,
        runs.atomic_file(out) as partial,
        progress.track("predict") as advance,
    ):
        batches = ingest.batches(
            source,
            refused=refused,
            with_labels=False,
            with_known=through is not None,
            absent=absent,
        )
        if through is not None:
            refused.name = through.name
            batches = through.stream(batches)
        done = _WRITERS[out.suffix](
            partial, _predicted(look_and_score, names, batches, advance), schema
        )
    rejected = dict(refused.counts)
    notes: dict[str, Any] = {"absent_columns": absent} if absent else {}
    if warning := describe_foreign(foreign, done, language):
        notes["warnings"] = [warning]
    return runs.Summary(done + sum(rejected.values()), done, rejected, notes)


def write(
    out: Path,
    batches: Rows,
    schema: pa.Schema = SCHEMA,
    *,
    private: bool = False,
) -> int:
    """Write predictions that were made elsewhere, all or nothing; the number of rows.

    Args:
        out: .csv, .jsonl or .parquet.
        batches: rows of some records each, with the columns of ``schema``.
        schema: `SCHEMA`, perhaps with more columns.
        private: as `runs.atomic_file` takes it.

    Raises:
        ConfigError: another ending.
        StorageError: ``out`` cannot be written.
    """
    check_ending(out)
    with runs.atomic_file(out, private=private) as partial:
        return _WRITERS[out.suffix](partial, batches, schema)


def check_ending(out: Path) -> None:
    """Refuse a file of a kind that cannot be written, before a model is loaded for it.

    Raises:
        ConfigError: another ending than .csv, .jsonl or .parquet.
    """
    if out.suffix not in _WRITERS:
        raise ConfigError(
            f"--out {out.name} has the ending {out.suffix!r}",
            f"Give a file that ends in {', '.join(_WRITERS)}.",
        )


def _predicted(
    score: Score,
    names: tuple[str, ...],
    batches: Iterator[pa.RecordBatch],
    advance: progress.Advance,
) -> Iterator[list[dict[str, Any]]]:
    for batch in batches:
        scored = score(records.join_text(batch))
        ids = batch.column("record_id").to_pylist()
        yield [
            _row(name, names, scored.probability[row], scored.decided[row])
            | {column: values[row] for column, values in scored.more.items()}
            for row, name in enumerate(ids)
        ]
        advance(batch.num_rows)


def _row(
    record_id: str, names: tuple[str, ...], probability: np.ndarray, decided: np.ndarray
) -> dict[str, Any]:
    ranked = np.argsort(-probability, kind="stable")
    chosen = [int(k) for k in ranked if decided[k]]
    return {
        "record_id": record_id,
        "labels": [names[k] for k in chosen],
        "probabilities": [round(float(probability[k]), 4) for k in chosen],
        "likeliest": names[ranked[0]],
        "likeliest_probability": round(float(probability[ranked[0]]), 4),
    }


def _write_csv(path: Path, batches: Rows, schema: pa.Schema) -> int:
    rows = 0
    # With a byte-order mark, so that Excel reads the Chinese.
    with path.open("w", encoding="utf-8-sig", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(schema.names)
        for batch in batches:
            writer.writerows([_cell(row[name]) for name in schema.names] for row in batch)
            rows += len(batch)
    return rows


def _cell(value: Any) -> Any:
    return ";".join(map(str, value)) if isinstance(value, list) else value


def _write_jsonl(path: Path, batches: Rows, schema: pa.Schema) -> int:
    rows = 0
    with path.open("w", encoding="utf-8") as handle:
        for batch in batches:
            told = ({name: row[name] for name in schema.names} for row in batch)
            handle.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in told)
            rows += len(batch)
    return rows


def _write_parquet(path: Path, batches: Rows, schema: pa.Schema) -> int:
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
            rows += len(batch)
    return rows


_WRITERS: dict[str, Callable[[Path, Rows, pa.Schema], int]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}

"""Parquet files, read in batches of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emrobust.config import Source
from emrobust.errors import SourceError
from emrobust.ingest.table import Batch, Table, from_arrow

SUFFIXES = (".parquet", ".pq")
BATCH_ROWS = 16_384


def open_table(settings: Source, path: Path) -> Table:  # noqa: ARG001 - all readers are alike
    """Open a Parquet file.

    Raises:
        SourceError: it is not a Parquet file, or damaged.
    """
    try:
        header = pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        raise _damaged(path) from None
    return Table(path.name, header, partial(_read, path), {"format": "Parquet"})


def _damaged(path: Path) -> SourceError:
    return SourceError(
        f"{path.name} is not a Parquet file, or is damaged", "Copy or export it again."
    )


def _read(path: Path, positions: Sequence[int]) -> Iterator[Batch]:
    done = 0
    try:
        with pq.ParquetFile(path) as file:
            names = [file.schema_arrow.names[place] for place in positions]
            for batch in file.iter_batches(BATCH_ROWS, columns=names):
                rows = np.arange(done + 1, done + batch.num_rows + 1, dtype=np.int64)
                yield Batch(rows, [_cells(batch.column(name)) for name in names], [])
                done += batch.num_rows
    except (pa.ArrowInvalid, OSError):
        raise _damaged(path) from None


def _cells(column: pa.Array) -> pa.Array:
    if pa.types.is_floating(column.type):
        # A column of whole numbers with gaps was made floating by the program that wrote it.
        column = pc.if_else(pc.is_finite(column), column, None)
        whole = column.cast(pa.int64(), safe=False)
        if pc.all(pc.equal(whole.cast(column.type), column)).as_py() is not False:
            column = whole
    return from_arrow(column)

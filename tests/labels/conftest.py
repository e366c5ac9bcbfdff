import csv
from pathlib import Path

import pyarrow as pa
import pytest

from emrobust import records


@pytest.fixture
def folder(tmp_path):
    """Make a folder of records from labels; text never matters to this room."""
    made = 0

    def make(labels, split=None, fold=None) -> Path:
        nonlocal made
        made += 1
        path = tmp_path / f"source{made}"
        path.mkdir()
        schema = records.schema(["complaint"])
        n = len(labels)
        columns = {
            "record_id": [f"r{i}" for i in range(n)],
            "patient_id": [f"p{i}" for i in range(n)],
            "text_complaint": ["secret text"] * n,
            "labels": labels,
            "split": split,
            "fold": fold,
        }
        arrays = [pa.array(columns.get(f.name) or [None] * n, f.type) for f in schema]
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        records.write(path / records.FILE, schema, [batch])
        return path

    return make


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "target"
    path.mkdir()
    return path


@pytest.fixture
def rejected():
    """The rows of a folder's rejects.csv, without the header."""

    def read(path):
        with (path / "rejects.csv").open(encoding="utf-8", newline="") as handle:
            return [tuple(row) for row in csv.reader(handle)][1:]

    return read


@pytest.fixture
def labels_of():
    def read(path):
        return records.read(path / records.FILE, ["labels"])["labels"].to_pylist()

    return read

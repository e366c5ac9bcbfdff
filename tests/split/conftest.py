import csv
import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from emrobust import records, runs
from emrobust.split import Settings, split


def write(path: Path, rows: list[dict]) -> Path:
    """Write rows as records; what a row does not say is made up."""
    path.mkdir(parents=True)
    schema = records.schema(["complaint"])
    filled = [
        {"record_id": f"r{i}", "patient_id": f"r{i}", "text_complaint": f"text {i}"} | row
        for i, row in enumerate(rows)
    ]
    arrays = [pa.array([row.get(f.name) for row in filled], f.type) for f in schema]
    records.write(path / records.FILE, schema, [pa.RecordBatch.from_arrays(arrays, schema=schema)])
    return path


def clinic(n: int, labels: int = 12, seed: int = 0) -> list[dict]:
    """Made-up visits: patients of 1 to 20 visits, a long tail of labels, three sites."""
    random = np.random.default_rng(seed)
    prevalence = 1.0 / np.arange(1, labels + 1) ** 1.2
    prevalence /= prevalence.sum()
    rows: list[dict] = []
    while len(rows) < n:
        patient = f"p{len(rows)}"
        chronic = int(random.choice(labels, p=prevalence))
        site = f"site{random.integers(3)}"
        for _ in range(min(int(random.geometric(0.35)), 20, n - len(rows))):
            more = random.choice(labels, int(random.integers(0, 3)), p=prevalence)
            named = {chronic, *more.tolist()} if random.random() < 0.9 else set()
            rows.append(
                {
                    "record_id": f"v{len(rows)}",
                    "patient_id": patient,
                    "site": site,
                    "visit_time": dt.datetime(2019, 1, 1)  # noqa: DTZ001 - local time, as in the table
                    + dt.timedelta(days=int(random.integers(1000))),
                    "text_complaint": "".join(map(chr, random.integers(0x4E00, 0x9000, 40))),
                    "labels": [f"L{x:02d}" for x in sorted(named)],
                }
            )
    return rows


@pytest.fixture
def run(tmp_path):
    """Split rows; gives the rows with their split or fold, split.json and the rejects."""
    made = 0

    def split_rows(rows, **settings):
        nonlocal made
        made += 1
        source = write(tmp_path / f"{made}" / "source", rows)
        target = tmp_path / f"{made}" / "target"
        target.mkdir()
        summary = split(Settings(**settings), source, target)
        table = records.read(target / records.FILE).to_pylist()
        facts = runs.read_json(target / "split.json")
        with (target / "rejects.csv").open(encoding="utf-8", newline="") as handle:
            rejected = list(csv.reader(handle))[1:]
        assert summary.rows_in == len(rows)
        assert summary.rows_out + len(rejected) == len(rows)
        return table, facts, rejected

    return split_rows


@pytest.fixture
def visits_of():
    return clinic


@pytest.fixture
def written(tmp_path):
    """Write rows; the path of the records file."""
    return lambda rows: write(tmp_path / "rows", rows) / records.FILE

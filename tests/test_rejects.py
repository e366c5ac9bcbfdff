import csv

import pytest

from emrobust import rejects


def _read(path):
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.reader(handle))


def test_rows_are_listed_in_full_and_counted_by_reason(tmp_path):
    with rejects.open_in(tmp_path) as refused:
        refused.add(3, "r,3", "labels", "no label")
        refused.add(5, "r5", "labels", "no code", "code 2")
        refused.add(9, "r9", "labels", "no code", "code 1")
    assert refused.counts == {"no label": 1, "no code": 2}
    assert _read(tmp_path / "rejects.csv") == [
        ["row", "record_id", "column", "reason"],
        ["3", "r,3", "labels", "no label"],
        ["5", "r5", "labels", "code 2: no code"],
        ["9", "r9", "labels", "code 1: no code"],
    ]


def test_the_header_is_there_without_rejects_and_nothing_after_a_failure(tmp_path):
    with rejects.open_in(tmp_path):
        pass
    assert _read(tmp_path / "rejects.csv") == [list(rejects.HEADER)]
    other = tmp_path / "other"
    with pytest.raises(RuntimeError), rejects.open_in(other):
        raise RuntimeError
    assert not list(other.iterdir())

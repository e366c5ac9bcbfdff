"""The records table keeps its contract, and says which row breaks it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust import records
from emrobust.errors import RecordsError

SCHEMA = records.schema(["主诉", "现病史"], separator="。")


def table(rows: list[dict]) -> pa.RecordBatch:
    filled = [
        {
            "record_id": f"r{i}",
            "patient_id": f"p{i}",
            "text_主诉": "头痛",
            "text_现病史": "",
            "labels": ["A"],
            "split": "train",
            **row,
        }
        for i, row in enumerate(rows)
    ]
    return pa.RecordBatch.from_pylist(filled, schema=SCHEMA)


def written(tmp_path, rows):
    path = tmp_path / records.FILE
    records.write(path, SCHEMA, [table(rows)])
    return path


def test_text_fields_are_joined_in_schema_order_without_the_blank_ones(tmp_path):
    path = written(
        tmp_path,
        [
            {"text_主诉": "头痛", "text_现病史": " 三天 "},
            {"text_主诉": " ", "text_现病史": "咳嗽"},
            {"text_主诉": "", "text_现病史": ""},
        ],
    )
    assert records.join_text(records.read(path)) == ["头痛。三天", "咳嗽", ""]
    assert records.text_fields(records.read_schema(path)) == ["主诉", "现病史"]
    assert [len(b) for b in records.read_batches(path, rows=2)] == [2, 1]


@pytest.mark.parametrize(
    ("rows", "options", "says"),
    [
        ([], {}, "no rows"),
        ([{}, {"record_id": " "}], {}, "row 1 .* has no record_id"),
        ([{}, {"patient_id": ""}], {}, "row 1 .* has no patient_id"),
        ([{"record_id": "a"}, {"record_id": "a"}], {}, "twice"),
        ([{}, {"labels": ["B"]}], {"names": ["A"]}, "row 1 .* label set"),
        ([{"labels": ["A", "A"]}], {"names": ["A"]}, "row 0 .* label set"),
        ([{"split": None}], {"split": True}, "without a split"),
        (
            [{"patient_id": "p"}, {"patient_id": "p", "split": "test"}],
            {"split": True},
            "1 patients .* two splits",
        ),
        (
            [{"patient_id": "p", "fold": 0}, {"patient_id": "p", "fold": 1}],
            {"split": True},
            "1 patients",
        ),
    ],
)
def test_every_invariant_is_checked(tmp_path, rows, options, says):
    with pytest.raises(RecordsError, match=says):
        records.check(written(tmp_path, rows), **options)


def test_a_sound_table_passes(tmp_path):
    rows = [{"patient_id": "p"}, {"patient_id": "p"}, {"split": "test", "labels": ["A", "B"]}]
    records.check(written(tmp_path, rows), names=["A", "B"], split=True)


def test_a_patient_may_move_forwards_in_time(tmp_path):
    rows = [{"patient_id": "p"}, {"patient_id": "p", "split": "test"}]
    records.check(written(tmp_path, rows), split=True, by_time=True)


@given(st.lists(st.lists(st.sampled_from("ABC"), unique=True), min_size=1, max_size=20))
def test_the_indicator_matrix_holds_exactly_the_labels(rows):
    matrix = records.indicator(rows, ["A", "B", "C"])
    assert matrix.dtype == np.uint8
    assert [{"ABC"[k] for k in np.flatnonzero(row)} for row in matrix] == [set(r) for r in rows]


def test_a_label_outside_the_set_names_its_row():
    with pytest.raises(RecordsError, match="row 1 has the label 'Z'"):
        records.indicator([["A"], ["Z"]], ["A"])

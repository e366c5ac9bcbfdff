"""The local check: a fair sample, corrections as they come, and shares with their intervals."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from emrobust import records
from emrobust.config import Deid
from emrobust.deid import audit, review
from emrobust.deid.rows import Task, Worker
from emrobust.errors import InputError


@pytest.fixture(scope="module")
def worker():
    return Worker(Task(Deid(enabled=True), None))


def batches(rows, size):
    schema = records.schema(["主诉", "现病史"])
    for start in range(0, rows, size):
        numbers = range(start, min(start + size, rows))
        made = [
            {"record_id": f"r{n}", "patient_id": f"p{n}", "text_主诉": f"电话13800138{n:03d}",
             "text_现病史": "" if n % 2 else "咳嗽𠮷3天"}
            for n in numbers
        ]  # fmt: skip
        yield pa.RecordBatch.from_pylist(made, schema=schema)


def test_the_sample_is_fair_and_does_not_depend_on_batches(worker):
    drawn = review.draw(batches(1000, 100), worker, 200, 1)
    again = review.draw(batches(1000, 33), worker, 200, 1)
    rows = [document.row for document in drawn]
    assert rows == sorted(set(rows)) == [document.row for document in again]
    assert len(rows) == 200
    assert 70 < sum(row <= 500 for row in rows) < 130
    assert rows != [d.row for d in review.draw(batches(1000, 100), worker, 200, 2)]
    text, found = drawn[0].fields["主诉"]
    assert [(text[s.start : s.end], s.kind) for s in found] == [(text[2:], "phone")]
    assert all(("现病史" in d.fields) == (d.row % 2 == 1) for d in drawn)
    assert len(review.draw(batches(3, 2), worker, 200, 1)) == 3


def corrections(tmp_path, listed, **more):
    path = tmp_path / "corrections.json"
    content = {"version": 1, "sheet": "abc", "documents": listed, **more}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def document(row, spans, missed=(), *, reviewed=True):
    fields = [{"name": "主诉", "spans": spans, "missed": list(missed)}]
    return {"row": row, "reviewed": reviewed, "fields": fields}


def test_recall_and_precision_are_of_what_was_read(tmp_path):
    name, phone = [0, 2, "patient_name", "right"], [3, 14, "phone", "right"]
    wrong = [5, 7, "person_name", "wrong"]
    path = corrections(
        tmp_path,
        [
            document(1, [name, phone]),
            document(2, [name, wrong], [[9, 12, "patient_name"]]),
            document(3, []),
            document(4, [wrong, wrong], [[0, 2, "phone"]], reviewed=False),
        ],
    )
    found = review.measure(review.read(path))
    assert found["documents"] == 3
    assert found["clean"] == 2
    assert found["whole_document_recall"] == audit.wilson(2, 3)
    everything = found["kinds"]["all"]
    assert (everything["right"], everything["wrong"], everything["missed"]) == (3, 1, 1)
    assert everything["recall"] == everything["precision"] == audit.wilson(3, 4)
    assert found["kinds"]["patient_name"]["recall"] == audit.wilson(2, 3)
    assert found["kinds"]["phone"]["recall"] == audit.wilson(1, 1)


def test_what_is_no_sheets_export_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        review.read(tmp_path / "absent.json")
    good = document(1, [[0, 2, "patient_name", "right"]])
    for content in ({"version": 2}, {"text": "张伟的病历"}, {"documents": [{"row": "x"}]}):
        with pytest.raises(InputError, match="review sheet exports") as caught:
            review.read(corrections(tmp_path, [good], **content))
        assert "张伟" not in str(caught.value)
    unread = corrections(tmp_path, [document(1, [], reviewed=False)])
    with pytest.raises(InputError, match="ticked"):
        review.measure(review.read(unread))

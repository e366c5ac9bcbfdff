"""The same table gives the same records, whatever it comes in."""

import datetime as dt

from emrobust import records

EXPECTED = [
    {"record_id": "V1", "patient_id": "P1", "visit_time": dt.datetime(2021, 3, 5, 8, 20), "site": None,
     "department": "内科", "sex": "M", "age": 45.0, "text_主诉": "咳嗽3天，“干咳”",
     "text_现病史": "夜间,加重;无\t发热|", "labels": ["J06.9", "I10"], "split": None, "fold": None},
    {"record_id": "V2", "patient_id": "P1", "visit_time": dt.datetime(2021, 3, 6), "site": None,
     "department": "内科", "sex": "F", "age": 7.0, "text_主诉": "腹痛", "text_现病史": "第一行\n第二行",
     "labels": ["K29.7"], "split": None, "fold": None},
    {"record_id": "V3", "patient_id": "P2", "visit_time": None, "site": None, "department": None,
     "sex": None, "age": None, "text_主诉": '头"晕"', "text_现病史": "", "labels": [], "split": None,
     "fold": None},
    {"record_id": "V4", "patient_id": "P3", "visit_time": dt.datetime(2021, 12, 31, 23, 59, 59),
     "site": None, "department": "外科", "sex": "F", "age": 0.0, "text_主诉": "",
     "text_现病史": "𠮷㐂：鼻塞", "labels": ["J00", "J01.9"], "split": None, "fold": None},
]  # fmt: skip


def test_every_format_gives_the_same_records(any_format, read, columns):
    summary, table, refused = read(any_format)
    assert table.to_pylist() == EXPECTED
    assert table.schema.names == records.schema(columns.text).names
    assert table.schema.metadata == {b"separator": b"\n"}
    assert refused == []
    assert summary.notes["unlabelled"] == 1
    assert summary.notes["unread"] == {}
    records.check(any_format.parent / "target" / records.FILE)

"""The same table gives the same records, whatever it comes in."""

import datetime as dt

from emrobust import records

NAMES = ["record_id", "patient_id", "visit_time", "department", "sex", "age"]
NAMES += ["text_主诉", "text_现病史", "labels"]
EXPECTED = [
    ("V1", "P1", "2021-03-05T08:20:00", "内科", "M", 45.0, "咳嗽3天，“干咳”",
     "夜间,加重;无\t发热|", ["J06.9", "I10"]),
    ("V2", "P1", "2021-03-06T00:00:00", "内科", "F", 7.0, "腹痛", "第一行\n第二行", ["K29.7"]),
    ("V3", "P2", None, None, None, None, '头"晕"', "", []),
    ("V4", "P3", "2021-12-31T23:59:59", "外科", "F", 0.0, "", "𠮷㐂：鼻塞", ["J00", "J01.9"]),
]  # fmt: skip


def test_every_format_gives_the_same_records(any_format, read, columns):
    summary, table, refused = read(any_format)
    found = [
        tuple(v.isoformat() if isinstance(v, dt.datetime) else v for v in row.values())
        for row in table.select(NAMES).to_pylist()
    ]
    assert found == EXPECTED
    assert table.schema.names == records.schema(columns.text).names
    assert table.schema.metadata == {b"separator": b"\n"}
    assert all(table[name].null_count == 4 for name in ("site", "split", "fold"))
    assert refused == []
    assert summary.notes["unlabelled"] == 1
    assert summary.notes["unread"] == {}
    records.check(any_format.parent / "target" / records.FILE)

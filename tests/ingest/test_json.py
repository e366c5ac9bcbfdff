import json

import pytest

from emrobust.errors import SourceError
from emrobust.ingest import json_table

CANARY = "金丝雀"


@pytest.fixture
def tiny_chunks(monkeypatch):
    monkeypatch.setattr(json_table, "_CHUNK", 7)


def test_an_array_is_read_in_pieces_of_any_size(tiny_chunks, write_csv, read, small):
    rows = [
        {"id": n, "text": "咳嗽，[{" * n, "note": None, "deep": [{"a": [1, {}]}]}
        for n in range(1, 40)
    ]
    for indent in (None, 2):
        path = write_csv(json.dumps(rows, ensure_ascii=False, indent=indent), "t.json", "gb18030")
        _, table, _ = read(path, small)
        assert table["text_text"].to_pylist() == [row["text"] for row in rows]


@pytest.mark.parametrize("cut", [1, 30, 60, -1])
def test_a_file_that_was_cut_off_names_the_element(tiny_chunks, write_csv, read, small, cut):
    whole = json.dumps(
        [{"id": n, "text": CANARY, "note": ""} for n in range(3)], ensure_ascii=False
    )
    with pytest.raises(SourceError, match="element . is broken or incomplete") as caught:
        read(write_csv(whole[:cut], "t.json"), small)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("content", ["{}", '{"id": 1}', '{"id": [1], "text": [1, 2]}', '{"a"', "3"])
def test_other_shapes_are_refused(write_csv, read, small, content):
    with pytest.raises(SourceError, match="neither a JSON array"):
        read(write_csv(content, "t.json"), small)


def test_lines_and_elements_that_are_no_objects_are_refused_by_number(write_csv, read, small):
    good = json.dumps({"id": "a", "text": "b", "note": "c"})
    for name, content in (
        ("t.jsonl", f'{good}\n\n{{"id": "{CANARY}\n[1]\n{"[" * 100_000}\n'),
        ("t.json", f"[{good}, 1, null, [2]]"),
    ):
        summary, _, refused = read(write_csv(content, name), small)
        assert summary.rows_out == 1
        assert [row["row"] for row in refused] == ["2", "3", "4"]
        assert CANARY not in str(refused)


def test_a_lone_surrogate_is_a_damaged_row(write_csv, read, small):
    rows = [{"id": "a", "text": "x\ud83d", "note": "n"}, {"id": "b", "text": "y", "note": "n"}]
    _, table, refused = read(write_csv(json.dumps(rows), "t.json"), small)
    assert table["record_id"].to_pylist() == ["b"]
    assert [(r["row"], r["record_id"], r["column"]) for r in refused] == [("1", "a", "text")]


def test_keys_that_come_late_are_columns_too(write_csv, read, small):
    lines = [{"id": 1, "text": "a"}, {"id": 2, "text": "b", "note": "late"}]
    _, table, _ = read(write_csv("\n".join(map(json.dumps, lines)), "t.jsonl"), small)
    assert table["text_note"].to_pylist() == ["", "late"]


def test_json_that_is_no_lines_is_told(write_csv, read, small):
    with pytest.raises(SourceError, match="one JSON object a line"):
        read(write_csv('[\n{"id":\n1}\n]', "t.jsonl"), small)

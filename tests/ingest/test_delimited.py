import csv
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust.config import Columns, Source
from emrobust.errors import SourceError
from emrobust.ingest import delimited
from emrobust.ingest.table import UNDECODABLE

CANARY = "金丝雀"
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00\ufdd0\ufdd1\ufeff"))
KINDS = {"good": "v,t,n", "short": "v,t", "long": "v,t,n,x", "quoted": 'v,"t\nt",n', "blank": ""}
SETTINGS = Columns(record_id="id", text=("text", "note"))


def cells_of(path, **settings):
    """Row numbers, cells by column and refusals of a whole file."""
    table = delimited.open_table(Source(path=path, columns=SETTINGS, **settings), path)
    batches = list(table.read(range(len(table.header))))
    numbers = np.concatenate([batch.rows for batch in batches]).tolist()
    columns = [
        list(itertools.chain.from_iterable(batch.cells[place].to_pylist() for batch in batches))
        for place in range(len(table.header))
    ]
    return numbers, columns, [fault for batch in batches for fault in batch.refused]


@given(
    st.lists(st.tuples(CELL, CELL, CELL), max_size=30),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_written_is_read(tmp_path_factory, rows, delimiter, encoding, newline):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    with path.open("w", encoding=encoding, newline="") as handle:
        out = csv.writer(handle, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL)
        out.writerows([("id", "text", "note"), *rows])
    numbers, columns, refused = cells_of(path, encoding=encoding)
    assert numbers == list(range(1, len(rows) + 1))
    assert list(zip(*columns, strict=True)) == rows
    assert refused == []


@given(st.lists(st.sampled_from(sorted(KINDS)), max_size=60), st.integers(64, 300))
def test_rows_keep_their_numbers_whatever_the_blocks(tmp_path_factory, kinds, block):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_text("id,text,note\n" + "".join(KINDS[kind] + "\n" for kind in kinds))
    rows = list(enumerate((kind for kind in kinds if kind != "blank"), 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BLOCK_BYTES", block)
        numbers, columns, refused = cells_of(path)
    assert numbers == [at for at, kind in rows if kind in ("good", "quoted")]
    assert [fault.row for fault in refused] == [
        at for at, kind in rows if kind in ("short", "long")
    ]
    assert len(columns[0]) == len(numbers)


def test_a_long_cell_is_read_after_all_rows_before_it_and_none_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 1 << 12)
    path = tmp_path / "t.csv"
    rows = [(f"V{at}", "长" * (10_000 if at == 700 else 3), "x") for at in range(1000)]
    with path.open("w", encoding="gb18030", newline="") as handle:
        csv.writer(handle).writerows([("id", "text", "note"), *rows[:500], ("a", "b"), *rows[500:]])
    numbers, columns, refused = cells_of(path)
    assert list(zip(*columns, strict=True)) == rows
    assert numbers == [*range(1, 501), *range(502, 1002)]
    assert [fault.row for fault in refused] == [501]


def test_a_cell_of_ten_megabytes(tmp_path, read, small):
    text = "咳嗽，" * 1_100_000
    (tmp_path / "t.csv").write_text(f'id,text,note\n1,a,b\n2,"{text}",c\n3,d,e\n', encoding="utf-8")
    summary, table, _ = read(tmp_path / "t.csv", small)
    assert summary.rows_out == 3
    assert table["text_text"][1].as_py() == text


def test_the_delimiter_is_the_one_that_finds_the_named_columns():
    head = "id;text,with commas;note,more,and more\n"
    assert delimited.detect_delimiter(head, ["id", "text,with commas"]) == ";"
    assert delimited.detect_delimiter("id\ttext\n", ["nothing", "here"]) == "\t"


def test_an_open_quote_at_the_end_is_an_error_and_names_the_row(write_csv):
    rows = "".join(f"{at},{CANARY},x\n" for at in range(50))
    path = write_csv(f'id,text,note\n1,a,b\n2,"{CANARY},b\n{rows}')
    with pytest.raises(SourceError, match="opened in row 2") as caught:
        cells_of(path)
    assert CANARY not in str(caught.value)
    assert "never closed" in str(caught.value)


def test_an_open_quote_that_swallows_rows_is_told_apart(write_csv):
    path = write_csv('id,text,note\n1,"a,b\n2,c,d\n3,e,"f"\n4,g,h\n')
    _, _, refused = cells_of(path)
    assert [fault.reason for fault in refused] == [delimited.OPEN_QUOTE]


def test_a_record_longer_than_the_largest_block_is_an_error(write_csv, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 1 << 8)
    monkeypatch.setattr(delimited, "MAX_BLOCK_BYTES", 1 << 12)
    path = write_csv("id,text,note\n1,a,b\n" + f'2,"{CANARY * 5000}",c\n')
    with pytest.raises(SourceError, match="row 2") as caught:
        cells_of(path)
    assert CANARY not in str(caught.value)


def test_damaged_bytes_are_marked_in_their_own_row(write_csv):
    head = "id,text,note\n" + "0,咳嗽,发热\n" * 300
    path = write_csv(head.encode() + b"1,\xffx,y\n2,\xe5\x92,z\n")
    numbers, columns, _ = cells_of(path)
    marked = [n for n, cell in zip(numbers, columns[1], strict=True) if UNDECODABLE in cell]
    assert marked == [301, 302]
    assert columns[2][-2:] == ["y", "z"]


def test_numbering_takes_refusals_between_rows():
    faults = delimited.deque(delimited.Refusal(row, "") for row in (1, 3, 4, 9))
    rows, taken = delimited._number(0, 3, faults)
    assert rows.tolist() == [2, 5, 6]
    assert [fault.row for fault in taken] == [1, 3, 4]
    assert delimited._number(6, 0, faults)[1] == []


def test_the_header_may_be_quoted_and_stand_below_blank_lines(write_csv):
    path = write_csv('\n\n"id","te\nxt",note\n1,a,b\n')
    table = delimited.open_table(Source(path=path, columns=SETTINGS), path)
    assert table.header == ["id", "te\nxt", "note"]
    assert [b.cells[0].to_pylist() for b in table.read([0])] == [["1"]]


def test_facts_say_what_was_detected(write_csv):
    path = write_csv("id|text|note\n1|咳|嗽\n", encoding="gb18030")
    table = delimited.open_table(Source(path=path, columns=SETTINGS), path)
    assert table.facts == {"format": "delimited text", "encoding": "gb18030", "delimiter": "bar"}


def test_cells_are_strings_even_where_they_look_like_numbers(write_csv):
    _, columns, _ = cells_of(write_csv("id,text,note\n001,1e5,NULL\n"))
    assert columns == [["001"], ["1e5"], ["NULL"]]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_rows_above_the_header_are_skipped_and_not_counted(write_csv, read, small, newline):
    lines = ["门诊日志，“2021", "", "id\ttext\tnote", "1\ta\tb", "2", "", "\tc\td", "4\te\tf"]
    path = write_csv(newline.join(lines), encoding="gb18030")
    with pytest.raises(SourceError, match="Set header_row = 3 in ") as caught:
        read(path, small)
    assert "门诊" not in str(caught.value)
    for row in (2, 3):
        _, table, refused = read(path, small, header_row=row)
        assert table["record_id"].to_pylist() == ["1", "4"]
        assert [fault["row"] for fault in refused] == ["2", "3"]
    with pytest.raises(SourceError, match="has no row 9"):
        read(path, small, header_row=9)
    with pytest.raises(SourceError, match="Set header_row = 3 in "):
        read(path, small, header_row=4)

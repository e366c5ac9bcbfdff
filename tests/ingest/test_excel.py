import datetime as dt

import pytest
import xlsxwriter

from emrobust.errors import SourceError

CANARY = "金丝雀"


@pytest.fixture
def book(tmp_path):
    """Write a workbook: name of sheet → rows, with merged ranges."""

    def write(sheets, merged=()):
        path = tmp_path / "visits.xlsx"
        made = xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"})
        for name, rows in sheets.items():
            sheet = made.add_worksheet(name)
            for at, row in enumerate(rows):
                sheet.write_row(at, 0, row)
            for place in merged:
                sheet.merge_range(place, CANARY)
        made.close()
        return path

    return write


ROWS = [["id", "text", "note", "other"], *([n, "咳嗽", "x", None] for n in range(1, 6))]


def test_merged_cells_among_the_named_columns_are_named(book, read, small):
    with pytest.raises(SourceError, match="merged cells at B3:B4") as caught:
        read(book({"门诊": ROWS}, ["B3:B4"]), small)
    assert "Unmerge" in str(caught.value)
    assert CANARY not in str(caught.value)


def test_merged_cells_elsewhere_do_no_harm(book, read, small):
    assert read(book({"门诊": ROWS}, ["D3:D4"]), small)[0].rows_out == 5


def test_a_merged_title_above_the_header_is_named(book, read, small):
    with pytest.raises(SourceError, match="merged cells at A1:D1"):
        read(book({"门诊": [[], *ROWS]}, ["A1:D1"]), small)


def test_several_sheets_need_a_name(book, read, small):
    path = book({"一月": ROWS, "二月": ROWS[:3], "空": []})
    with pytest.raises(SourceError, match="2 sheets: 一月, 二月"):
        read(path, small)
    assert read(path, small, table="二月")[0].rows_out == 2
    with pytest.raises(SourceError, match="no sheet `三月`"):
        read(path, small, table="三月")


def test_rows_are_numbered_below_the_header_and_blank_ones_are_none(book, read, small):
    rows = [[], ROWS[0], [], [1, "a"], [None, "b"], [], [1, "c"]]
    summary, table, refused = read(book({"s": rows}), small)
    assert table["record_id"].to_pylist() == ["1"]
    assert [(r["row"], r["reason"]) for r in refused] == [
        ("3", "record number missing"),
        ("5", "record number was there before"),
    ]
    assert summary.rows_in == 3


def test_dates_and_numbers_become_what_they_mean(book, read, small):
    rows = [
        ["id", "text", "note", "when"],
        [12.0, dt.date.fromisoformat("2021-03-05"), 1.5, 44260.5],
    ]
    columns = small.model_copy(update={"visit_time": "when"})
    row = read(book({"s": rows}), columns)[1].to_pylist()[0]
    assert (row["record_id"], row["text_text"], row["text_note"]) == ("12", "2021-03-05", "1.5")
    assert row["visit_time"].isoformat() == "2021-03-05T12:00:00"


def test_text_that_was_named_excel_is_told(write_csv, read, small):
    with pytest.raises(SourceError, match="not an Excel workbook") as caught:
        read(write_csv(f"id\ttext\tnote\n1\t{CANARY}\tx\n", "t.xls"), small)
    assert "renamed to .csv" in str(caught.value)


def test_rows_above_the_header_are_skipped_and_not_counted(book, read, small):
    rows = [[f"{CANARY}门诊日志"], [], *ROWS[:2], [None, "b"], ROWS[3]]
    path = book({"s": rows})
    with pytest.raises(SourceError, match="Set header_row = 3 in ") as caught:
        read(path, small)
    assert CANARY not in str(caught.value)
    _, table, refused = read(path, small, header_row=3)
    assert table["record_id"].to_pylist() == ["1", "3"]
    assert [fault["row"] for fault in refused] == ["2"]
    with pytest.raises(SourceError, match="is empty from row 9 on"):
        read(path, small, header_row=9)
    assert read(book({"s": rows}, ["A1:D1"]), small, header_row=3)[0].rows_out == 2

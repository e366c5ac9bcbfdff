import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust.ingest import values


@pytest.mark.parametrize(
    ("cell", "years"),
    [("45", 45), ("45岁", 45), ("４５ 周岁", 45), ("45.0", 45), ("8个月", 8 / 12), ("3月", 0.25),
     ("12天", 12 / 365.25), ("3岁6个月", 3.5), ("30+", 30), ("2 years", 2), ("6 mo", 0.5),
     ("Y", None),
     ("-1", None), ("", None), ("不详", None), ("20-30", None), ("131", None), ("3岁x", None),
     ("3-4月", None), ("1e3", None)],
)  # fmt: skip
def test_ages(cell, years):
    assert values.parse_age(cell) == (None if years is None else pytest.approx(years))


@given(st.floats(0, 130).map(lambda years: round(years, 2)), st.sampled_from(["", "岁", " 岁 "]))
def test_every_age_in_years_is_read(years, unit):
    assert values.parse_age(f"{years}{unit}") == pytest.approx(years)


@given(st.text(max_size=12))
def test_an_age_is_a_possible_age_or_null(cell):
    years = values.parse_age(cell)
    assert years is None or 0 <= years <= values.OLDEST


@pytest.mark.parametrize(
    ("cell", "sex"),
    [("男", "M"), ("女性", "F"), (" F ", "F"), ("male", "M"), ("1", "M"), ("2.0", "F"), ("Ｍ", "M"),
     ("0", None), ("9", None), ("未知", None), ("", None)],
)  # fmt: skip
def test_sexes(cell, sex):
    assert values.parse_sex(cell) == sex


@pytest.mark.parametrize(
    ("cell", "moment"),
    [("2021-03-05", "2021-03-05"), ("2021/3/5 8:20", "2021-03-05T08:20"),
     ("2021-03-05T08:20:11Z", "2021-03-05T08:20:11"),
     ("2021-03-05 08:20:11.123+08:00", "2021-03-05T08:20:11"),
     ("20210305", "2021-03-05"), ("20210305082011", "2021-03-05T08:20:11"),
     ("2021年3月5日", "2021-03-05"),
     ("2021年3月5日 8时20分", "2021-03-05T08:20"), ("44260.347222222", "2021-03-05T08:20"),
     ("44260", "2021-03-05"), ("2021.3.5", "2021-03-05"), ("2021-02-30", None),
     ("2021-13-01", None),
     ("21-3-5", None), ("0021-03-05", None), ("昨天", None), ("", None),
     ("2021-03-05 25:00", None)],
)  # fmt: skip
def test_times(cell, moment):
    expected = None if moment is None else dt.datetime.fromisoformat(moment)
    assert values.times(pa.array([cell, "2021-01-01"]))[0].as_py() == expected
    assert values.times(pa.array([cell]))[0].as_py() == expected


@pytest.mark.parametrize(
    ("cell", "order", "moment"),
    [("03/15/2024", "mdy", "2024-03-15"), ("3/5/2024 8:20 PM", "mdy", "2024-03-05T20:20"),
     ("12/31/2024 12:05:09am", "mdy", "2024-12-31T00:05:09"), ("15/03/2024", "mdy", None),
     ("15.3.2024 20:20", "dmy", "2024-03-15T20:20"), ("3/15/2024", "dmy", None),
     ("2024-03-15", "mdy", "2024-03-15"), ("03/05/2024", "ymd", None), ("3/15/24", "mdy", None)],
)  # fmt: skip
def test_times_with_the_year_last(cell, order, moment):
    expected = None if moment is None else dt.datetime.fromisoformat(moment)
    assert values.times(pa.array([cell, "2021-01-01"]), order)[0].as_py() == expected


@given(
    st.datetimes(dt.datetime.fromisoformat("1900-01-01"), dt.datetime.fromisoformat("2099-12-31")),
    st.sampled_from(
        ["%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y%m%d%H%M%S", "%Y-%m-%dT%H:%M:%S+08:00"]
    ),
)
def test_every_moment_is_read_back(moment, layout):
    assert values.parse_time(moment.strftime(layout)) == moment.replace(microsecond=0)


@given(
    st.lists(st.sampled_from(["2021-3-5", "2021/12/05 8:20", "2021-02-30", "x", "20210305", ""]))
)
def test_the_quick_way_and_the_sure_way_agree(cells):
    sure = [values.parse_time(cell) for cell in cells]
    assert values.times(pa.array(cells, pa.string())).to_pylist() == sure


@pytest.mark.parametrize(
    ("cell", "found"),
    [("a;b", ["a", "b"]), (" a ； b;a;", ["a", "b"]), ("['a', 'b;c']", ["a", "b;c"]),
     ('["a",null,"a"]', ["a"]),
     ("[]", []), ("", []), ("NULL", []), ("[a]", ["[a]"]),
     ("[__import__('os')]", ["[__import__('os')]"]),
     ("[[1]]", ["[[1]]"]), ("[1, 2]", ["1", "2"]), (r"['\d']", [r"\d"]),
     ("[" * 5000 + "]" * 5000, None)],
)  # fmt: skip
def test_labels_of_a_cell(cell, found):
    assert values.parse_labels(cell, ";") == (found if found is not None else [cell])


@pytest.mark.parametrize(
    ("cell", "found"),
    [("A、B；C;D", ["A", "B", "C", "D"]), ("1、甲 2、乙；3、2型病", ["1. 甲 2. 乙", "3. 2型病"]),
     ("1、2、3", ["1", "2", "3"]), ("1、I10、2、J06.9", ["1", "I10", "2", "J06.9"]),
     ("甲,乙", ["甲,乙"])],
)  # fmt: skip
def test_any_of_several_separators_separates(cell, found):
    assert values.parse_labels(cell, ("", ";", "、")) == found


def test_labels_of_several_columns_are_joined_once_each():
    first, second = (
        pa.array(["I10", None, "", "J06.9"]),
        pa.array(["E11;I10", "K29", None, "J06.9"]),
    )
    joined = values.labels([first, second], ";").to_pylist()
    assert joined == [["I10", "E11"], ["K29"], [], ["J06.9"]]


def test_without_a_separator_a_cell_is_one_label():
    assert values.parse_labels("a;b, c", "") == ["a;b, c"]


def test_text_is_tidied_and_never_null():
    cells = pa.array(
        [" 咳\x00嗽\x1f ", "a\r\nb\rc", None, "NaN", r"\N", "None", "null", "\u3000", "naN.", "\tx"]
    )
    made, replaced = values.text(cells)
    assert made.to_pylist() == ["咳 嗽", "a\nb\nc", "", "", "", "", "", "", "naN.", "x"]
    assert replaced == 1
    assert values.text(cells[1:3])[0].to_pylist() == ["a\nb\nc", ""], (
        "slices count from their own start"
    )

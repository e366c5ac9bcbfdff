import pytest

from emrobust.errors import SourceError
from emrobust.ingest.header import locate


def test_width_edges_case_and_marks_do_not_matter():
    header = ["\ufeffVisit_No ", "诊断（主要）", "主 诉\u200b"]
    assert locate(["visit_no", "诊断(主要)", "主 诉"], header, "t") == {
        "visit_no": 0, "诊断(主要)": 1, "主 诉": 2,
    }  # fmt: skip


def test_an_exact_name_comes_before_a_like_one():
    assert locate(["id"], ["ID", "id"], "t") == {"id": 1}


def test_all_problems_come_at_once_with_suggestions():
    with pytest.raises(SourceError) as caught:
        locate(["主述", "id", "年龄"], ["主诉内容", "主诉", "id", "id"], "visits.csv")
    message = str(caught.value)
    assert "visits.csv" in message
    assert "`主述` is missing. Did you mean `主诉`?" in message
    assert "`id` is there 2 times (columns 3, 4)" in message
    assert "`年龄` is missing." in message
    assert "Its columns are: 主诉内容, 主诉, id, id." in message


def test_two_headers_that_only_resemble_the_name_are_doubled():
    with pytest.raises(SourceError, match="2 times"):
        locate(["id"], ["ID", "Id"], "t")


def test_a_header_below_is_told_by_its_row_where_most_names_fit():
    named = ["id", "主诉", "年龄"]
    for top, advice in (
        ([["李"], ["ID ", "主诉"], ["1", "痛"]], "Set header_row = 2 in [source], or delete"),
        ([["id", "主诉", "年龄"], ["1", "痛", "3"]], "Set header_row = 1 in [source]."),
        ([["李"], ["id", "痛"]], "No name fits."),
        ((), "No name fits."),
    ):
        with pytest.raises(SourceError) as caught:
            locate(named, ["1", "痛", "3"], "t", top)
        assert advice in caught.value.hint
        assert "痛" not in str(caught.value)
        assert "李" not in str(caught.value)


def test_a_first_row_that_is_a_record_is_not_told():
    with pytest.raises(SourceError, match="first row") as caught:
        locate(["姓名", "主诉"], ["姓李的病人", "主诉头痛三天", "13812345678"], "visits.csv")
    assert "李" not in str(caught.value)
    assert "头痛" not in str(caught.value)
    with pytest.raises(SourceError) as caught:
        locate(["姓名", "主诉"], ["李名", "主痛"], "visits.csv")  # half alike, and a patient's
    assert "李" not in str(caught.value)
    assert "痛" not in str(caught.value)

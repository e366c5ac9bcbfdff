import pytest

from emrobust.config import Labels
from emrobust.errors import LabelError
from emrobust.labels import aggregate
from emrobust.labels.aggregate import NO_LABEL, NONE_LEFT, SEVERAL, TOO_LONG
from emrobust.labels.icd10 import NOT_A_CODE


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("category", [["I20", "E11"], ["I10"], ["I20"]]),
        ("subcategory", [["I20.8", "E11.9"], ["I10"], ["I20.8"]]),
        ("code", [["I20.800x007", "E11.900"], ["I10.x00x032"], ["I20.800x007", "I20.8"]]),
    ],
)
def test_levels(folder, target, labels_of, level, expected):
    source = folder(
        [["I20.800x007", "E11.900"], ["I10.x00x032"], ["I20.800x007", "I208"], *[["E11"]] * 3]
    )
    done = aggregate(Labels(level=level), source, target)
    assert labels_of(target)[:3] == expected
    assert (done.rows_in, done.rows_out, done.rejected) == (6, 6, {})


def test_the_longest_code_of_the_table_decides(folder, target, labels_of, tmp_path):
    table = tmp_path / "classes.csv"
    table.write_text("code,class\nI20,angina\nI20.8,stable\nI20.800x007,slow\nZ00,\n")
    source = folder([["I20.000"], ["I20.800x001"], ["I20.800x007", "Z00.0"], ["E11", "I20"]])
    done = aggregate(Labels(table=table), source, target)
    assert labels_of(target) == [["angina"], ["stable"], ["slow"], ["other", "angina"]]
    assert done.notes["dropped"] == {"dropped by the class table": 1}


def test_codes_outside_the_table_may_be_dropped_too(folder, target, rejected, tmp_path):
    table = tmp_path / "classes.csv"
    table.write_text("code,class\nI20,a\nI21,b\n")
    done = aggregate(
        Labels(table=table, rare="drop"), folder([["I20"], ["I21"], ["E11"], ["I20"]]), target
    )
    assert done.notes["dropped"] == {"not in the class table": 1}
    assert rejected(target) == [("3", "r2", "labels", NONE_LEFT)]


def test_a_wrong_code_refuses_the_row_or_is_dropped(folder, tmp_path, target, labels_of, rejected):
    source = folder([["I20"], ["E11", "张三的病"], ["张三的病"], ["E11"], [], [" "], None])
    done = aggregate(Labels(invalid="reject"), source, target)
    assert done.rejected == {NOT_A_CODE: 2, NO_LABEL: 3}
    assert rejected(target)[0] == ("2", "r1", "labels", f"code 2: {NOT_A_CODE}")
    assert "张三" not in (target / "rejects.csv").read_text(encoding="utf-8")
    other = tmp_path / "other"
    other.mkdir()
    done = aggregate(Labels(invalid="drop"), source, other)
    assert labels_of(other) == [["I20"], ["E11"], ["E11"]]
    assert done.notes["dropped"] == {NOT_A_CODE: 2}
    assert done.rejected == {NONE_LEFT: 1, NO_LABEL: 3}


def test_plain_labels_stay_as_they_are(folder, target, labels_of, rejected):
    source = folder([[" 感冒 ", "感冒"], ["I20"], ["x" * 101], ["感冒"]])
    aggregate(Labels(kind="plain"), source, target)
    assert labels_of(target) == [["感冒"], ["I20"], ["感冒"]]
    assert rejected(target) == [("3", "r2", "labels", f"code 1: {TOO_LONG}")]


def test_a_single_label_task_takes_one_class_a_row(folder, target, rejected):
    source = folder([["I20.1", "I20.8"], ["I20", "E11"], ["E11"]])
    aggregate(Labels(task="single"), source, target)
    assert rejected(target) == [("2", "r1", "labels", SEVERAL)]


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        ([["I20"], ["I20.8"]], Labels(), r"1 class\(es\)"),
        ([["I20", "I21", "E11"], ["I20"]], Labels(), "3 classes but only 2 rows"),
        ([["感冒"], ["张三"]], Labels(), "no row .* is left .*2 rows: not of the form"),
        ([["I20"]], Labels(table="none.csv"), "none.csv does not exist"),
    ],
)
def test_label_sets_that_cannot_be_learned(folder, target, labels, settings, message):
    with pytest.raises(LabelError, match=message) as caught:
        aggregate(settings, folder(labels), target)
    assert caught.value.hint
    assert "张三" not in str(caught.value)

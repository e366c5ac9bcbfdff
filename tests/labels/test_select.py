import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust.config import Labels
from emrobust.errors import LabelError
from emrobust.labels import conform, read_label_set, select
from emrobust.labels.aggregate import NONE_LEFT
from emrobust.labels.select import LabelSets, choose
from emrobust.pipeline.prepare import describe

ROWS = [["A00"]] * 5 + [["B00", "A00"]] * 3 + [["C00"]] * 2 + [["D10"], ["A00"], ["C00", "E11"]]
SPLIT = ["train"] * 10 + ["test", "validation", "test"]


def test_rare_classes_are_decided_by_training_rows_alone(folder, target, labels_of):
    # C00 is as common as B00 in the whole table, D10 and E11 never occur in training.
    done = select(Labels(top=2), folder(ROWS, SPLIT), target)
    chosen = read_label_set(target / "labels.json")
    assert chosen.names == ("A00", "B00", "other")
    assert chosen.counts_train == {"A00": 8, "B00": 3, "other": 2}
    assert chosen.rare == {"rule": "other", "classes": {"C00": 2}}
    assert labels_of(target)[8:] == [["other"], ["other"], ["other"], ["A00"], ["other"]]
    assert done.notes["labels_per_row"] == {"1": 7, "2": 3}
    assert done.notes["counts"][0] == ["A00", 8]
    assert done.notes["rarest_share"] == 0.2
    assert done.notes["statistics_from"] == "training rows"


def test_many_rare_or_lone_classes_are_warned_of(folder, target, tmp_path):
    assert select(Labels(), folder(ROWS, SPLIT), target).notes["warnings"] == []
    rows = [["甲"]] * 3 + [[f"名{n}"] for n in range(9)]
    for folder_name, settings, heads in (
        ("all", Labels(kind="plain"), ["9 of 10 classes"]),
        ("top", Labels(kind="plain", top=1), ["9 of 12 labels", "9 of 10 classes"]),
    ):
        other = tmp_path / folder_name
        other.mkdir()
        done = select(settings, folder(rows, ["train"] * 12), other)
        assert [
            line[: len(head)] for line, head in zip(done.notes["warnings"], heads, strict=True)
        ] == heads
        assert all("class table" in line for line in done.notes["warnings"])
        assert "warning: 9 of" in "\n".join(describe({"4-labels": done}))


def test_rare_classes_may_be_dropped(folder, target, rejected):
    source = folder([*ROWS, ["A00"]], [*SPLIT, "test"])
    done = select(Labels(min_count=3, rare="drop"), source, target)
    assert read_label_set(target / "labels.json").names == ("A00", "B00")
    assert done.rejected == {NONE_LEFT: 4}
    assert rejected(target)[0] == ("9", "r8", "labels", NONE_LEFT)


def test_no_class_other_without_training_rows(folder, target, rejected):
    select(Labels(), folder(ROWS, SPLIT), target)
    assert read_label_set(target / "labels.json").names == ("A00", "B00", "C00")
    assert [row[1] for row in rejected(target)] == ["r10"]


def test_cross_validation_counts_all_rows_and_says_so(folder, target):
    done = select(Labels(), folder(ROWS, fold=[i % 2 for i in range(13)]), target)
    assert read_label_set(target / "labels.json").counts_train["C00"] == 3
    assert "cross-validation" in done.notes["statistics_from"]


def test_titles_come_from_the_class_table_or_the_block(folder, target, tmp_path):
    select(Labels(), folder(ROWS, SPLIT), target)
    assert read_label_set(target / "labels.json").titles["A00"]["zh"] == "肠道传染病 (A00–A09)"
    table = tmp_path / "classes.csv"
    table.write_text("code,class,title\nA00,A00,霍乱\n", encoding="utf-8")
    other = tmp_path / "other"
    other.mkdir()
    select(Labels(table=table, top=2), folder(ROWS, SPLIT), other)
    titles = read_label_set(other / "labels.json").titles
    assert titles == {
        "A00": {"zh": "霍乱", "en": "霍乱"},
        "other": {"zh": "其他", "en": "other"},
    }


@pytest.mark.parametrize(
    ("source", "settings", "message"),
    [
        ((ROWS, None), Labels(), "rows without a split"),
        ((ROWS, SPLIT), Labels(min_count=8, rare="drop"), r"1 class\(es\)"),
        (([["A00"], ["A00"], ["B00"], ["C00"]], ["train"] * 3 + ["test"]), Labels(), "split test"),
        (([["A00", "B00", "C00"], ["A00"]], ["train", "test"]), Labels(), "3 classes but only 1"),
    ],
)
def test_bad_input_has_a_way_out(folder, target, source, settings, message):
    with pytest.raises(LabelError, match=message) as caught:
        select(settings, folder(*source), target)
    assert caught.value.hint


def test_another_table_takes_the_label_set_of_the_run(folder, target, labels_of, tmp_path):
    select(Labels(top=2), folder(ROWS, SPLIT), target)
    chosen = read_label_set(target / "labels.json")
    other = tmp_path / "other"
    other.mkdir()
    conform(chosen, folder([["A00"], ["C00"], ["Z00", "B00"]]), other)
    assert labels_of(other) == [["A00"], ["other"], ["other", "B00"]]


def test_a_label_outside_a_set_without_other_is_an_error(folder, target, tmp_path):
    select(Labels(), folder(ROWS, SPLIT), target)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(LabelError, match="row 2 has a class") as caught:
        conform(read_label_set(target / "labels.json"), folder([["A00"], ["Z00"]]), other)
    assert "Z00" not in str(caught.value)  # where a class is a cell, it may hold a patient's words
    assert "class table" in caught.value.hint


@given(
    st.dictionaries(
        st.sets(st.sampled_from("ABCDEFG"), min_size=1).map(lambda s: tuple(sorted(s))),
        st.integers(1, 40),
        min_size=1,
    ),
    st.integers(1, 8),
    st.integers(1, 30),
    st.sampled_from(["other", "drop"]),
)
def test_the_label_set_is_sorted_and_loses_nothing(sets, top, least, rare):
    chosen = choose(LabelSets(sets), Labels(kind="plain", top=top, min_count=least, rare=rare))
    counts = [chosen.counts_train[name] for name in chosen.names]
    assert counts == sorted(counts, reverse=True)
    kept = set(chosen.names) - {"other"}
    assert len(kept) <= top
    assert all(chosen.counts_train[name] >= least for name in kept)
    seen = {label for labels in sets for label in labels}
    assert kept | set(chosen.rare["classes"]) == seen
    assert not kept & set(chosen.rare["classes"])
    assert ("other" in chosen.names) == (rare == "other" and kept != seen)

"""Diagnoses as they are typed: what numbering is, and what is a name."""

import pytest

from emrobust.config import Labels
from emrobust.labels import aggregate, names
from emrobust.labels.aggregate import NO_LABEL


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("1.急性上呼吸道感染 2.高血压病", ["急性上呼吸道感染", "高血压病"]),
        ("1、甲　2、乙\n③丙", ["甲", "乙", "丙"]),
        ("(1)甲 （2）乙 3)丙", ["甲", "乙", "丙"]),
        ("１．甲 ⒉乙", ["甲", "乙"]),
        ("1.2型糖尿病 2. 3级高血压", ["2型糖尿病", "3级高血压"]),
        ("1型糖尿病", ["1型糖尿病"]),
        ("2.5cm肝囊肿", ["2.5cm肝囊肿"]),
        ("颈椎病 4、5椎间盘突出", ["颈椎病 4、5椎间盘突出"]),
        ("胃炎 (2)", ["胃炎 (2)"]),
        ("1. 5-羟色胺综合征", ["5-羟色胺综合征"]),
        ("感冒 咳嗽", ["感冒 咳嗽"]),
        ("3", ["3"]),
        ("  ", []),
    ],
)
def test_numbering_is_taken_away_and_separates(cell, found):
    assert names.split(cell) == found


def test_words_for_no_diagnosis_are_no_class(folder, target, labels_of, rejected):
    source = folder(
        [["1.感冒 2.无"], ["／"], ["感冒", "待查"], ["发热待查"], [" 同前 "], ["N/A"], ["Pending"]]
    )
    done = aggregate(Labels(kind="plain"), source, target)
    assert labels_of(target) == [["感冒"], ["感冒"], ["发热待查"]]
    assert done.rejected == {NO_LABEL: 4}


def test_the_words_for_no_diagnosis_are_the_hospitals(folder, target, labels_of):
    source = folder([["I10", "XXX"], ["J00"]])
    aggregate(Labels(nothing=("xxx",)), source, target)
    assert labels_of(target) == [["I10"], ["J00"]]


def test_what_the_class_table_names_is_taken_as_it_stands(folder, target, labels_of, tmp_path):
    table = tmp_path / "classes.csv"
    table.write_text("code,class\n1.甲 2.乙,两者\n待查,不明\n甲,一\n", encoding="utf-8")
    source = folder([["1.甲 2.乙"], ["待查", "1.甲"], ["1.甲 2.待查"]])
    aggregate(Labels(kind="plain", table=table), source, target)
    assert labels_of(target) == [["两者"], ["不明", "一"], ["一", "不明"]]

"""Equal facts in other writings are equal; everything that would change the label is not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust.clinic.wording import chinese
from emrobust.perturb import Edit, apply, check_row, facts, permits, protected


def replace(text: str, old: str, new: str) -> list[Edit]:
    return [Edit(text.index(old), text.index(old) + len(old), new)]


SAME = [
    ("体温38.5℃", "T 38.5"),
    ("体温38.5摄氏度", "T:38.50℃"),
    ("血压120/80mmHg", "BP120/80"),
    ("心率80次/分", "HR 80bpm"),
    ("两天", "2d"),
    ("三个星期", "3周"),
    ("10个月", "10m"),
    ("半个月", "0.5月"),
    ("3周余", "三周多"),
    ("2018年3月5日", "2018-03-05"),
    ("3次/日", "tid"),
    ("布洛芬 0.3g", "芬必得0.3 g"),
    ("白细胞升高", "WBC↑"),
    ("否认咳嗽", "没有咳嗽"),
    ("不伴咳嗽", "无咳嗽"),
    ("四肢无力", "四肢没劲"),
    ("其母平素咳嗽", "妈妈平素咳嗽"),
    ("pain in the left knee for 3 days", "left knee pain 3 d"),
    ("does not smoke", "doesn't smoke"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_writings_of_one_fact_are_equal(one, other):
    assert facts(one) == facts(other)
    assert permits(one, [Edit(0, len(one), other)])


CHANGES = [
    ("无发热", "无", "有"),
    ("无发热", "无", ""),
    ("咳嗽", "咳嗽", "无咳嗽"),
    ("发热无咳嗽", "发热无咳嗽", "无发热咳嗽"),
    ("无发热，咳嗽", "，", ""),
    ("无发热，咳嗽", "，", "、"),
    ("无发热、咳嗽", "、", "，"),
    ("发热、咳嗽(-)", "、", ""),
    ("发热、咳嗽(-)", "(-)", "(+)"),
    ("尿常规阴性", "阴性", "阳性"),
    ("胸片正常", "正常", "异常"),
    ("肺炎？", "？", ""),
    ("待排肺炎", "待排", "确诊"),
    ("左膝痛", "左", "右"),
    ("双眼干", "双", "左"),
    ("头痛3天", "3", "4"),
    ("头痛3天", "天", "周"),
    ("头痛3天", "头", "头1"),
    ("头痛三天", "三", "两"),
    ("T38.5", "38.5", "385"),
    ("BP120/80", "BP", "P"),
    ("2018年3月5日", "3月", "4月"),
    ("布洛芬0.3g", "布洛芬", "阿司匹林"),
    ("布洛芬0.3g", "g", "mg"),
    ("白细胞升高", "白细胞", "血小板"),
    ("白细胞升高", "升高", "降低"),
    ("四肢无力", "力", "痛"),
    ("父亲患肺癌", "父亲", "母亲"),
    ("母亲患肺癌", "母亲", ""),
    ("既往咳嗽", "既往", "近日"),
    ("患急性胃炎", "急性", "慢性"),
    # The smallest edits, as of a back-translation.
    ("患急性胃炎", "急", "慢"),
    ("良性肿瘤", "良", "恶"),
    ("轻度水肿", "轻", "重"),
    ("停用激素", "停", "使"),
    ("食纳可", "可", "差"),
    ("睡眠良好", "良好", "不良"),
    ("睡眠欠佳", "欠佳", "良好"),
    ("营养不良", "不良", "良好"),
    ("食纳可", "可", "欠佳"),
    ("精神欠佳", "欠", ""),
    ("食欲佳", "佳", "不佳"),
    ("心率缓慢", "缓慢", "快"),
    ("尿蛋白+", "+", "-"),
    ("尿蛋白+", "+", "\u2212"),
    ("denies fever", "denies", "reports"),
    ("left knee pain", "left", "right"),
    ("edema of the LLE", "LLE", "RLE"),
    ("OD red", "OD", "ED"),
    ("no cough, but fever", "but", "nor"),
    ("pain for 3 days", "3", "30"),
]


@pytest.mark.parametrize(("text", "old", "new"), CHANGES)
def test_an_edit_that_changes_a_fact_is_refused(text, old, new):
    assert not permits(text, replace(text, old, new))


def test_many_edits_of_a_word_are_seen_as_one():
    for text, end in (("some acute pain", "chroni"), ("Some Acute pain", "Chroni")):
        edits = [Edit(5, 6, end), Edit(7, 10, "")]
        assert apply(text, edits).lower() == "some chronic pain"
        assert not permits(text, edits)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("无发热，咳嗽", "咳嗽", "咳搜"),
        ("精神差", "差", "欠佳"),
        ("睡眠良好", "良好", "好"),
        ("急性腹痛后好转", "腹痛", "肚子疼"),
        ("无发热，咳嗽", "，", ","),
        ("无发热、咳嗽", "、", ""),
        ("咳嗽，腹痛", "，", " "),
        ("发热，无咳嗽", "，", ""),
        ("上腹痛", "腹痛", "肚子疼"),
        ("fever, denies cough", "fever", "pyrexia"),
    ],
)
def test_an_edit_that_changes_none_is_permitted(text, old, new):
    assert permits(text, replace(text, old, new))


@given(st.integers(1, 99), st.sampled_from(["天", "周", "个月", "年", "小时"]), st.data())
def test_durations_are_equal_only_to_themselves(number, unit, data):
    other = data.draw(st.integers(1, 99))
    assert (facts(f"痛{number}{unit}") == facts(f"痛{chinese(other)}{unit}")) == (number == other)


@given(st.text("无未左右3一天，、。(-)？咳嗽TL .", max_size=30))
def test_every_guarded_piece_is_protected_and_nothing_twice(text):
    spans = protected(text)
    assert all(start < end for start, end in spans)
    assert all(one[1] <= two[0] for one, two in pairwise(spans))
    assert {(t.start, t.end) for t in facts(text).tokens if t.value != "joint"} <= set(spans)
    assert permits(text, [])


@pytest.mark.parametrize(
    ("term", "other", "why"),
    [
        ("发热", "发热", "itself"),
        ("发热", " ", "empty"),
        ("发热", "无热", "guarded"),
        ("左膝痛", "右膝痛", "guarded"),
        ("升高", "降低", "opposite"),
        ("咳嗽咳痰", "咳嗽，咳痰", "punctuation"),
        ("两天", "3天", "guarded"),
    ],
)
def test_a_lexicon_row_that_breaks_a_guard_is_named(term, other, why):
    assert why in (check_row(term, other) or "")


def test_a_good_lexicon_row_passes():
    assert check_row("发热", "发烧") is None
    assert check_row("络活喜", "氨氯地平") is None

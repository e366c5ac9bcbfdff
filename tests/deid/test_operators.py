"""Operators: consistent within a patient, of the same form, and secret without the key."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emrobust import registry
from emrobust.config import Deid
from emrobust.deid import dates, forms, gate, policy
from emrobust.deid.detect import load
from emrobust.deid.key import Key
from emrobust.deid.operator import Subject
from emrobust.deid.treatment import Treatment
from emrobust.errors import ConfigError
from emrobust.placeholders import PLACEHOLDERS

KEY, OTHER = Key(b"a secret for the tests of today"), Key(b"another secret for other tests")
SURROGATE = registry.get("operator", "surrogate")()
SHIFT = registry.get("operator", "date_shift")(days=90)
GENERALISE = registry.get("operator", "generalise")()
HAN = st.sampled_from("王李张刘陈伟芳娜秀敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚")
DAYS = st.dates(dt.date(1990, 1, 1), dt.date(2030, 12, 31))
VISIT = dt.datetime.fromisoformat("2023-06-01T09:30")


def subject(patient: str = "P1", key: Key = KEY) -> Subject:
    return Subject(patient, key, VISIT, VISIT, "呼吸内科")


FORMS = [
    lambda d: f"{d.year}年{d.month}月{d.day}日",
    lambda d: f"{d:%Y-%m-%d}",
    lambda d: f"{d:%Y%m%d}",
    lambda d: f"{d:%Y.%m.%d} 14:20",
    lambda d: f"{d.day} {d:%b} {d.year}",
    lambda d: f"{d:%B} {d.day}, {d.year}",
    lambda d: f"{d.year}年 {d.month}月\n{d.day}日".translate(
        {i + 48: i + 0xFF10 for i in range(10)}
    ),
]


@settings(max_examples=60)
@given(first=DAYS, second=DAYS, form=st.sampled_from(FORMS), patient=st.text(max_size=5))
def test_a_date_shift_keeps_intervals_and_form(first, second, form, patient):
    of = subject(patient)
    moved = [SHIFT.replace(form(day), "date", of) for day in (first, second)]
    read = [dates.parse(text).begin() for text in moved]
    assume(all(day.month != 5 for day in (first, second, *read)))  # May is its own short form
    assert read[1] - read[0] == second - first
    assert 0 < abs((read[0] - first).days) <= 90
    assert [form(day) for day in read] == moved


@pytest.mark.parametrize(
    ("written", "moved"),
    [
        ("二〇二三年三月五日", "二〇二三年四月十四日"),
        ("零九年十二月廿五号", "一〇年二月三号"),
        ("12月25日", "2月3日"),  # of the year before the visit
        ("5/1", "6/10"),
        ("2023年3月", "2023年4月"),
        ("2023.03", "2023.04"),
        ("23-3-5", "23-4-14"),
        ("21st of May", "30th of June"),
        ("2月29日", "4月9日"),  # of 2020, the last leap year before the visit
        ("03/05/2023", "04/14/2023"),
        ("2023年3月5日8时20分", "2023年4月14日8时20分"),
        ("昨日", None),
        ("2023年3月5日至8日", None),
        ("2023年13月5日", None),
        ("9999年12月31日", None),
    ],
)
def test_every_writing_of_a_date_is_moved_or_given_up(written, moved):
    found = dates.parse(written)
    assert (found and found.move(40, VISIT.date())) == moved


@pytest.mark.parametrize(
    ("written", "moved"),
    [
        ("03/05/24", "04/14/24"),
        ("02/10/24", "03/21/24"),
        ("3/5/24", "4/14/24"),
        ("12/25/23", "02/03/24"),
        ("25/12/23", "03/02/24"),  # no 25th month
        ("15/03/2024", "24/04/2024"),
        ("10/20/2024", "11/29/2024"),
        ("24-13-05", None),
        ("99/12/31", "00/02/09"),  # no 99th day
        ("2024-03-05", "2024-04-14"),
    ],
)
def test_english_dates_have_the_month_first_where_that_is_a_day(written, moved):
    found = dates.parse(written, "en")
    assert (found and found.move(40, VISIT.date())) == moved


def test_chinese_dates_have_the_year_first_where_that_is_a_day():
    assert dates.parse("03/05/24").begin() == dt.date(2003, 5, 24)
    assert dates.parse("12/25/23").begin() == dt.date(2023, 12, 25)
    assert dates.parse("15/03/2024").begin() == dt.date(2024, 3, 15)


@given(name=st.text(HAN, min_size=2, max_size=3), patient=st.text(max_size=5))
def test_a_name_has_one_surrogate_within_a_patient(name, patient):
    made = SURROGATE.replace(name, "patient_name", subject(patient))
    assert made != name
    assert len(made) == len(name)
    spaced = SURROGATE.replace(" ".join(name), "relative_name", subject(patient))
    assert spaced.replace(" ", "") == made
    assert SURROGATE.replace(name[0], "person_name", subject(patient)) == made[0]


def test_an_english_name_has_one_surrogate_in_either_order():
    made = SURROGATE.replace("James Jones", "patient_name", subject())
    first, last = made.split()
    assert SURROGATE.replace("Jones, James", "patient_name", subject()) == f"{last}, {first}"
    assert SURROGATE.replace("Jones", "patient_name", subject()) == last


def test_another_patient_or_key_gives_another_surrogate():
    names = [first + second for first in "王李张刘陈" for second in "伟芳娜秀敏"]
    made = [SURROGATE.replace(n, "patient_name", subject()) for n in names]
    for other in (subject("P2"), subject(key=OTHER)):
        again = [SURROGATE.replace(n, "patient_name", other) for n in names]
        assert sum(a == b for a, b in zip(made, again, strict=True)) <= 1


@pytest.mark.parametrize(
    ("value", "kind", "shape"),
    [
        ("欧阳建国", "patient_name", r"[\u4e00-\u9fff]{4}"),
        ("阿依古丽·买买提", "patient_name", r"[\u4e00-\u9fff]+·[\u4e00-\u9fff]+"),
        ("Mary J. Smith", "patient_name", r"[A-Z][a-z]+ [A-Z]\. [A-Z][a-z]+"),
        ("138 0013 8000", "phone", r"16\d \d{4} \d{4}"),
        ("１３８００１３８０００", "phone", r"１６[０-９]{9}"),
        ("一三八零零一三八零零零", "phone", r"一六[〇零一二三四五六七八九]{9}"),
        ("0571-87654321", "phone", r"0\d{3}-0\d{7}"),
        ("a.b@mail.cn", "email", r"[a-z]{8}@example\.com"),
        ("京A12345", "plate", r"[\u4e00-\u9fff][A-Z]\d{5}"),
        ("E12345678", "passport", r"[A-Z]\d{8}"),
        ("安阳市第一人民医院", "hospital", r"[\u4e00-\u9fff]{2}市第一人民医院"),
        ("恒宏机械厂", "employer", r"[\u4e00-\u9fff]+机械厂"),
        ("安山市平江区长水路88号", "address", r".+市.+[区县].+\d+号"),
        ("192.168.1.20", "ip", r"192\.0\.2\.\d+"),
        ("wx_Abc123", "account", r"[a-z]{2}_[A-Z][a-z]{2}\d{3}"),
    ],
)
def test_a_surrogate_has_the_form_of_the_value(value, kind, shape):
    made = SURROGATE.replace(value, kind, subject())
    assert re.fullmatch(shape, made)
    assert made != value
    assert SURROGATE.replace(value, kind, subject()) == made


@given(born=DAYS, serial=st.integers(0, 999), wide=st.booleans())
def test_an_identity_card_stays_valid_and_is_nobodys(born, serial, wide):
    body = f"110101{born:%Y%m%d}{serial:03d}"
    value = body + forms.id_check(body)
    written = value.translate({i + 48: i + 0xFF10 for i in range(10)}) if wide else value
    made = SURROGATE.replace(written, "id_card", subject())
    plain = forms.digits_of(made) + ("X" if made[-1] in "XＸ" else "")
    assert plain[:2] == "99"
    assert forms.id_check(plain[:17]) == plain[17]
    assert int(plain[16]) % 2 == serial % 2
    assert made.isascii() != wide


@given(st.text("0123456789", min_size=13, max_size=18))
def test_a_bank_card_keeps_its_check_digit(body):
    made = SURROGATE.replace(body + forms.luhn_check(body), "bank_card", subject())
    assert made[-1] == forms.luhn_check(made[:-1])
    assert made.startswith("99")


@pytest.mark.parametrize(
    ("value", "kind", "made"),
    [
        ("92岁", "age", "90岁以上"),
        ("九十三岁", "age", "90岁以上"),
        ("47岁", "age", "40–49岁"),
        ("8个月", "age", "不满1岁"),
        ("2023年3月5日", "date", "2023年第1季度"),
        ("3月5日", "date", "2023年第1季度"),
        ("12床", "bed_no", "呼吸内科床位（2023年第2季度）"),
        ("呼吸内科三病区", "department", "呼吸内科"),
        ("浙江省安山市平江区长水路88号", "address", "浙江省"),
        ("张伟", "patient_name", None),
        ("昨日", "date", None),
    ],
)
def test_generalisation_is_coarser_or_left_to_the_placeholder(value, kind, made):
    assert GENERALISE.replace(value, kind, subject()) == made


@pytest.mark.parametrize(
    ("text", "language", "treated"),
    [
        ("LMP 03/05/24. DOB: 12/25/1950", "en", "LMP 2024 Q1. DOB: 1950 Q4"),
        ("DOB: 1950-03-05, seen today", "zh", "DOB: 1950 Q1, seen today"),
        ("DOB: 1950-03-05", "zh", "DOB: 1950年第1季度"),
        ("LMP 03/05/24，停经, BP 120/80", "en", "LMP 2003年第2季度，停经, BP 120/80"),
        (
            "Pt 王伟 was seen today, 03/05/24, for chest pain",
            "zh",
            "Pt 王伟 was seen today, 2024 Q1, for chest pain",
        ),
        ("a woman, 92 years old", "zh", "a woman, 90 years or older"),
    ],
)
def test_dates_and_ages_are_read_and_written_in_the_language_of_their_text(text, language, treated):
    treatment = Treatment(load(), policy.build(Deid(enabled=True), None), language=language)
    done = treatment.treat(text, {}, subject())
    assert done.text.replace("[PERSON_NAME]", "王伟") == treated


def test_every_kind_has_an_operator_with_and_without_a_key():
    for key in (None, KEY):
        built = policy.build(Deid(), key)
        assert set(built.operators) == set(PLACEHOLDERS)
        for kind in PLACEHOLDERS:
            word, operator = built.replace("２０２３", kind, subject(key=KEY))
            assert operator in registry.names("operator")
            assert isinstance(word, str)
    assert policy.build(Deid(), KEY).shift == 180
    assert policy.build(Deid(), None).shift is None


def test_wrong_operators_are_reported_at_once():
    given_settings = {"operators": {"dat": "remove", "phone": "surrogat", "email": "surrogate"}}
    with pytest.raises(ConfigError) as caught:
        policy.build(Deid(**given_settings, pseudonyms=True), None)
    for says in ("`date`", "`surrogate`?", "need a key", "deid.pseudonyms"):
        assert says in str(caught.value)


@settings(max_examples=40)
@given(st.text("0123456789 -X１２三八〇京A@.", max_size=40), st.sampled_from(sorted(PLACEHOLDERS)))
def test_no_operator_stumbles_over_any_text(value, kind):
    assume(value.strip())
    for name in registry.names("operator"):
        made = registry.get("operator", name)().replace(value, kind, subject())
        assert made is None or isinstance(made, str)


def test_no_surrogate_is_a_real_number_to_the_gate():
    phone = SURROGATE.replace("13800138000", "phone", subject())
    assert {leak.kind for leak in gate.scan(phone)} <= {"phone"}
    assert phone[:3] in {"160", "161", "163", "164", "168", "169"}

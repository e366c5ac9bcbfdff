"""The gate: finds direct identifiers in every spelling, and leaves numbers of medicine alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust.deid import forms, gate

ID = "11010119900307777" + forms.id_check("11010119900307777")
CARD = "622202123456789" + forms.luhn_check("622202123456789")
WIDE = {i + 48: i + 0xFF10 for i in range(10)}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"身份证{ID}。", "id_card"),
        (f"身份证 {ID[:6]} {ID[6:14]}\n{ID[14:]}，", "id_card"),
        (ID.translate(WIDE), "id_card"),
        ("证件号110101900307777", "id_card"),
        ("电话13800138000转", "phone"),
        ("电话138-0013-8000", "phone"),
        ("+86 138 0013 8000", "phone"),
        ("一三八零零一三八零零零", "phone"),
        ("手机１３８００１３８０００", "phone"),
        ("写信到 li.wei@mail.com.cn 即可", "email"),
        (f"卡号{CARD[:4]} {CARD[4:8]} {CARD[8:12]} {CARD[12:]}", "bank_card"),
        ("护照号E12345678", "passport"),
        ("社保号：A12345678", "social_security"),
        ("Pt called (969) 358-9774.", "phone"),
        ("at 969.358.9774, 969 is the area", "phone"),
        ("cell phone: 969 358 9774", "phone"),
        ("Fax ９６９-358–9774", "phone"),
        ("SSN 131-95-3626.", "social_security"),
        ("social security number is 131 95 3626", "social_security"),
        ("passport number 512345678", "passport"),
        ("US passport # K12345678", "passport"),
    ],
)
def test_direct_identifiers_are_found_where_they_are(text, kind):
    leaks = gate.scan(text)
    assert [leak.kind for leak in leaks] == [kind]
    inside = text[leaks[0].start : leaks[0].end]
    assert inside[0] not in "，。：号话 "
    assert gate.outside(leaks, [(leaks[0].start, leaks[0].end)]) == []
    assert gate.outside(leaks, [(leaks[0].start + 1, leaks[0].end)]) == leaks


@pytest.mark.parametrize(
    "text",
    [
        "T38.5℃，P102次/分，R22次/分，BP120/80mmHg，SpO2 98%",
        "WBC 12.5×10^9/L，2023-03-05 14:20:33复查，2023.3.5-2023.3.8",
        "检查号20230305123456，片号202303051234567890",
        "[PHONE]，[ID_CARD]，护照[PASSPORT]",
        "医保患者，社保类型：职工，服药123456789天",
        "12800138000，23800138000，138001380",
        "BP 120-80, 200-300-400 mg, titrate 200-300-4000 mg, lot 234-456-7890-1",
        "Na 138 K 4.1, 131-95-36267, 000-12-3456, S23-441-2345-6789, passport valid 2024",
        "glucose 250 300 4000, cell count 250 300, 3969.358.9774, 169-358-9774",
    ],
)
def test_numbers_of_medicine_are_left_alone(text):
    assert gate.scan(text) == []


def test_known_values_are_found_through_width_case_and_blanks():
    known = {"patient_name": ["王 伟"], "visit_no": ["ab1234"], "relative_name": ["李"]}
    text = "患者王伟，号ＡＢ－1234，又AB12345，王\n伟再诊，李女士"
    found = gate.find_known(text, known)
    assert [(text[k.start : k.end], k.kind) for k in found] == [
        ("王伟", "patient_name"),
        ("ＡＢ－1234", "visit_no"),
        ("王\n伟", "patient_name"),
    ]


def test_known_english_names_are_found_between_other_words():
    known = {"patient_name": ["Karen Jackson"], "doctor_name": ["Ann Lee"]}
    text = "Pt Karen Jackson called; KAREN  JACKSON's son. Karen Jacksonville, 3Ann Lees, Joann Lee"
    found = gate.find_known(text, known)
    assert [text[k.start : k.end] for k in found] == ["Karen Jackson", "KAREN  JACKSON"]


@given(st.text("0123456789 -－X×.\n一三八〇@a()SN", max_size=300))
def test_any_text_is_scanned_and_offsets_stay_inside(text):
    for leak in gate.scan(text):
        assert 0 <= leak.start < leak.end <= len(text)


def test_long_runs_take_linear_time():
    def seconds(size: int) -> float:
        text = "1 " * size + "a@" * size + "." * size
        start = time.process_time()
        gate.scan(text)
        return time.process_time() - start

    short, long = min(seconds(5_000) for _ in range(3)), seconds(40_000)
    assert long < 8 * max(short, 0.002) * 8

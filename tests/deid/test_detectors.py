"""Every detector on the hand-written sentences, on the clinic, on noise and on hostile text."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emrobust import registry
from emrobust.clinic.chart import write_block
from emrobust.clinic.identity import load_parts, make_id_card
from emrobust.clinic.model import build
from emrobust.clinic.notes import FIELDS
from emrobust.deid.bank_card import passes_luhn
from emrobust.deid.detect import detect, detect_all, load
from emrobust.deid.detector import fold
from emrobust.deid.id_card import is_plausible
from emrobust.deid.scoring import Tally, parse_marked, read_marked
from emrobust.placeholders import PLACEHOLDERS
from emrobust.rng import generator

SENTENCES = Path(__file__).parent / "sentences.txt"
CHECKED = ("id_card", "bank_card", "phone", "email")
NAMES = ("patient_name", "relative_name", "doctor_name")
VISITS = 1_200


@pytest.fixture(scope="module")
def detectors():
    return load()


@pytest.mark.parametrize("name", registry.names("detector"))
def test_a_detector_says_what_it_finds_and_where_it_knows_it_from(name):
    kind = registry.get("detector", name)
    assert set(kind.kinds) <= PLACEHOLDERS.keys()
    assert kind.source
    if kind.default:
        assert kind().name == name
        assert kind().find("") == []


def test_the_hand_written_sentences(detectors):
    tally = Tally()
    for text, truth in read_marked(SENTENCES):
        tally.add(text, truth, detect(text, detectors))
    assert sum(tally.true.values()) >= 300
    assert set(tally.true) == set(PLACEHOLDERS)
    assert tally.recall() >= 0.99
    assert tally.precision() >= 0.99
    assert tally.recall(*CHECKED) == 1
    assert sum(tally.mistaken.values()) <= 3


def test_sentences_without_identifiers_stay_whole(detectors):
    traps = [text for text, truth in read_marked(SENTENCES) if not truth]
    assert len(traps) > 100
    assert [text for text in traps if detect(text, detectors)] == []


def test_the_clinic_is_found_by_its_own_truth(detectors):
    pages = write_block(build(), 7, 3, rows=VISITS)
    tally = Tally()
    rows = pages.truth.column("spans").to_pylist()
    for note, spans in zip(pages.notes, rows, strict=True):
        for field, text in zip(FIELDS, note[1:], strict=True):
            truth = [
                (s["start"], s["end"], s["kind"])
                for s in spans
                if s["field"] == field
                and s["kind"] in PLACEHOLDERS
                and (s["kind"] != "age" or int(s["value"]) >= 90)
            ]
            tally.add(text, truth, detect(text, detectors))
    for kinds in (NAMES, ("address",), ("date",), ("hospital",), ("visit_no",), ("employer",)):
        assert tally.recall(*kinds) >= 0.99, kinds
    assert tally.recall(*CHECKED) == 1
    assert tally.precision() >= 0.97
    assert tally.clean / tally.documents >= 0.97


WIDE = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")
HAN = str.maketrans("0123456789", "零一二三四五六七八九")


@st.composite
def noisy(draw, number):
    """The number in full width, Chinese numerals, or with blanks or a line break inside."""
    way = draw(st.sampled_from(("plain", "wide", "han", "blanks", "break", "dashes")))
    if way in ("wide", "han"):
        return number.translate(WIDE if way == "wide" else HAN)
    gap = {"plain": "", "blanks": " ", "break": "\n", "dashes": "-"}[way]
    cut = draw(st.integers(3, len(number) - 3))
    return number[:cut] + gap + number[cut:]


@st.composite
def identity_cards(draw):
    born = draw(st.dates(min_value=dt.date(1930, 1, 1))).strftime("%Y%m%d")
    stream = generator(draw(st.integers(0, 2**30)), "card")
    card = make_id_card(lambda: float(stream.random()), load_parts(), born, 1)
    return card if born < "2030" else card[:6] + "19600229" + "0018"


@given(identity_cards().flatmap(noisy))
def test_identity_cards_however_they_are_typed(card):
    text = f"证件{card}，已核对"
    found = detect(text, load())
    assert [(s.kind, text[s.start : s.end]) for s in found] == [("id_card", card)]


@given(st.from_regex(r"1(?:3\d|5[0-35-9]|8\d)[0-9]{8}", fullmatch=True).flatmap(noisy))
def test_mobile_phones_however_they_are_typed(phone):
    text = f"请拨{phone}。"
    found = detect(text, load())
    assert [(s.kind, text[s.start : s.end]) for s in found] == [("phone", phone)]


def test_checksums():
    assert passes_luhn("4111111111111111")
    assert not passes_luhn("4111111111111112")
    assert is_plausible("110105491231002")
    assert not is_plausible("110105491331002")
    assert not is_plausible("990105194912310021")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Email: bob@x.org. No fever", "bob@x.org"),
        ("a@b.co.uk. Allergies penicillin", "a@b.co.uk"),
        ("Contact bob@x.com. BP 160/90", "bob@x.com"),
        ("bob@x.com.Denies fever", "bob@x.com"),
        ("bob@x.com.no fever", "bob@x.com"),
        ("BOB@MAIL.ORG. CN II-XII intact", "BOB@MAIL.ORG"),
        ("bob@x.com. in the morning", "bob@x.com"),
        ("Bob@Clinic.Mayo.Edu, seen", "Bob@Clinic.Mayo.Edu"),
        ("写信到li@mail . example. com. cn。", "li@mail . example. com. cn"),
        ("li@qq.com. cn，已核对", "li@qq.com. cn"),
    ],
)
def test_an_address_ends_before_the_next_sentence(text, address, detectors):
    found = [text[s.start : s.end] for s in detect(text, detectors) if s.kind == "email"]
    assert found == [address]


def test_values_of_the_row_are_found_whatever_they_look_like(detectors):
    row = {"patient_name": ("阿莱",), "visit_no": ("q7",), "doctor_name": ("Ng Ah",)}
    text = "阿　莱诉腹痛，见 Q7 与 NG AH 的记录，q77 是别的。"
    found = {text[s.start : s.end]: s for s in detect(text, detectors, row)}
    assert {"阿　莱", "Q7", "NG AH"} <= found.keys()
    assert "q77" not in found
    assert found["Q7"].score == 1
    assert found["Q7"].evidence == "the value of the row's column visit_no"


def test_a_name_found_once_is_found_again(detectors):
    text = "患者姓名：石晓宁，入院。夜间石晓宁如厕时跌倒。"
    assert [text[s.start : s.end] for s in detect(text, detectors)] == ["石晓宁", "石晓宁"]


LETTERS = (
    "患者张伟王李母亲医生主任签名：于市县路号栋室院年月日岁床"
    "0123456789０Ｘ一二〇 -./:@()，。、\n·ABcdx+*"
)


@given(st.text(LETTERS, max_size=80))
@example("1" * 60)
@example("患者" * 30)
def test_spans_lie_in_the_text_and_evidence_never_holds_it(text):
    spans = detect(text, load())
    done = 0
    for span in spans:
        assert done <= span.start < span.end <= len(text)
        done = span.end
        quoted = text[span.start : span.end]
        assert len(quoted) < 4 or quoted not in span.evidence


@given(st.text(max_size=60))
def test_folding_keeps_every_offset(text):
    assert len(fold(text)) == len(text)


EVIL = (
    "1 " * 2_000,
    "1" * 4_000,
    "市区" * 2_000,
    "第一人民" * 1_000,
    "A.A-" * 1_000,
    "住院号1-" * 800,
    "张王李赵" * 1_000,
    "a@" * 2_000,
    "医院" * 2_000,
    "一二三四五六" * 600,
    "Aaaa " * 800,
    "家住" + "路巷弄村" * 1_000,
    "2023年" * 1_000,
)


@pytest.mark.parametrize("text", EVIL, ids=lambda text: text[:6].strip())
def test_hostile_text_is_read_to_its_end(text, detectors):
    # How time grows: test_prefilter.py (the patterns' form), bench/deid.py --fuzz.
    spans = detect(text, detectors)
    assert detect_all([text], detectors).get(0, []) == spans
    assert all(0 <= one.start < one.end <= len(text) for one in spans)


def test_marked_text_is_read_and_scored():
    text, truth = parse_marked("患者{patient_name:张三}，⏎电话{phone:13812345678}")
    assert text == "患者张三，\n电话13812345678"
    assert [text[a:b] for a, b, _ in truth] == ["张三", "13812345678"]
    tally = Tally()
    missed = tally.add(text, truth, [s for s in detect(text, load()) if s.kind == "phone"])
    assert [kind for _, _, kind in missed] == ["patient_name"]
    assert tally.recall() == 0.5
    assert (tally.documents, tally.clean) == (1, 0)
    with pytest.raises(ValueError, match="no kind"):
        parse_marked("{nothing:x}")

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust.errors import LabelError
from emrobust.labels import icd10
from emrobust.labels.icd10 import MORPHOLOGY, NO_BLOCK, NOT_A_CODE, Code, parse, parse_combination


@pytest.mark.parametrize(
    ("text", "category", "subcategory", "full"),
    [
        ("I20", "I20", None, "I20"),
        ("I20.-", "I20", None, "I20"),
        ("I20.8", "I20", "I20.8", "I20.8"),
        ("I208", "I20", "I20.8", "I20.8"),
        ("i20 .8", "I20", "I20.8", "I20.8"),
        ("Ｉ２０．８", "I20", "I20.8", "I20.8"),
        ("I20。8", "I20", "I20.8", "I20.8"),
        ("I20.80", "I20", "I20.8", "I20.80"),
        ("M01.1*", "M01", "M01.1", "M01.1"),
        ("A18.0†", "A18", "A18.0", "A18.0"),
        ("I20.800x007", "I20", "I20.8", "I20.800x007"),
        ("I20.800X007", "I20", "I20.8", "I20.800x007"),
        ("I20.800×007", "I20", "I20.8", "I20.800x007"),
        ("I20800x007", "I20", "I20.8", "I20.800x007"),
        ("I10.x00x032", "I10", None, "I10.x00x032"),
        ("I10.x00", "I10", None, "I10.x00"),
        ("I10.x", "I10", None, "I10"),
        ("I38.x01", "I38", None, "I38.x01"),
        ("E11.900", "E11", "E11.9", "E11.900"),
        ("Z51.102", "Z51", "Z51.1", "Z51.102"),
        ("U07.100x002", "U07", "U07.1", "U07.100x002"),
    ],
)
def test_forms_that_hospitals_send(text, category, subcategory, full):
    assert parse(text) == Code(category, subcategory, full)


def test_a_dagger_pair_is_two_codes():
    assert [c.full for c in parse_combination("A18.0+M01.1*")] == ["A18.0", "M01.1"]
    assert [c.full for c in parse_combination("K29.500x001+B98.000")] == ["K29.500x001", "B98.000"]
    with pytest.raises(LabelError, match="two codes"):
        parse("A18.0†M01.1*")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("M8140/3", MORPHOLOGY),
        ("M81400/3", MORPHOLOGY),
        ("8140/3", MORPHOLOGY),
        ("I53", NO_BLOCK),
        ("V00.1", NO_BLOCK),
        ("高血压", NOT_A_CODE),
        ("", NOT_A_CODE),
        ("+", NOT_A_CODE),
        ("I2", NOT_A_CODE),
        ("I20.8000", NOT_A_CODE),
        ("I20.8;E11", NOT_A_CODE),
        ("I20.800x7", NOT_A_CODE),
        ("I٢٠", NOT_A_CODE),
    ],
)
def test_what_is_no_code_is_refused_without_being_repeated(text, reason):
    with pytest.raises(LabelError) as caught:
        parse(text)
    assert caught.value.message == reason
    assert len(text) < 3 or text not in str(caught.value)


def test_prefixes_go_from_the_full_code_to_the_category():
    assert parse("I20.800x007").prefixes() == ("I20.800x007", "I20.800", "I20.80", "I20.8", "I20")
    assert parse("I10.x00x032").prefixes()[:2] == ("I10.x00x032", "I10.x00")
    assert parse("I10.x00").prefixes()[-1] == "I10"


_blocks = st.sampled_from(icd10.blocks())


@st.composite
def _codes(draw):
    of = draw(_blocks)
    first, last = int(of.first[1:]), int(of.last[1:])
    if of.first[0] == of.last[0]:
        category = f"{of.first[0]}{draw(st.integers(first, last)):02d}"
    else:
        category = draw(st.sampled_from([of.first, of.last]))
    fourth = draw(st.sampled_from(["", *"0123456789", "x"]))
    digits = draw(st.from_regex(r"\A[0-9]{0,2}\Z")) if fourth else ""
    if fourth == "x" and not digits:
        digits = "00"
    national = draw(st.sampled_from(["", "x001", "x12", "x0345"])) if fourth else ""
    return category + (f".{fourth}{digits}{national}" if fourth else "")


@given(_codes())
def test_canonical_codes_are_fixed_points_and_their_own_first_prefix(text):
    code = parse(text)
    assert code.full == text
    assert parse(code.full) == code
    prefixes = code.prefixes()
    assert prefixes[0] == code.full
    assert prefixes[-1] == code.category
    assert all(code.full.startswith(prefix) for prefix in prefixes)


@given(_codes(), st.integers(0, 3))
def test_typing_habits_do_not_change_a_code(text, habit):
    typed = [
        text.lower(),
        f" {text} ",
        "".join(chr(ord(c) + 0xFEE0) for c in text.upper()),
        text.replace(".", ""),
    ][habit]
    assert parse(typed) == parse(text)


@given(st.text(max_size=12))
def test_any_text_is_a_code_or_a_label_error(text):
    try:
        codes = parse_combination(text)
    except LabelError:
        return
    assert codes
    assert all(icd10.block(code.category) for code in codes)


def test_the_table_of_chapters_is_whole():
    found = icd10.blocks()
    assert len({of.chapter for of in found}) == 22
    assert {of.first[0] for of in found} == set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert all(a.last < b.first for a, b in itertools.pairwise(found))
    assert all(of.first <= of.last and of.title_zh and of.title_en for of in found)
    assert icd10.block("I21").title_en == "Ischaemic heart diseases"
    assert icd10.block("W55").first == "W00"
    assert icd10.block("A00").chapter == 1
    assert icd10.block("U07").chapter == 22

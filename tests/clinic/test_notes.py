"""What the spans say is what stands in the text, and the text says what the states say."""

import re

import pytest

from emrobust import rng
from emrobust.clinic import identity, tables, wording
from emrobust.clinic.chart import write_block
from emrobust.clinic.model import build
from emrobust.clinic.notes import FIELDS
from emrobust.clinic.page import Page, compile_clause, uniforms
from emrobust.errors import ConfigError

CLEAN = str.maketrans("０１２３４５６７８９Ｘ", "0123456789X", " ")
IDENTITY = {
    "patient_name",
    "relative_name",
    "doctor_name",
    "id_card",
    "phone",
    "address",
    "social_security",
    "bed_no",
    "visit_no",
    "hospital",
    "employer",
}


@pytest.fixture(scope="module")
def pages():
    return write_block(build(), 5, 0)


@pytest.fixture(scope="module")
def spans(pages):
    """(text of the note, span, text of the span) for every span."""
    found = []
    for row, of_row in zip(pages.outpatient, pages.truth["spans"].to_pylist(), strict=True):
        fields = dict(zip(FIELDS, row[7:10], strict=True))
        found += [
            (row, span, fields[span["field"]][span["start"] : span["end"]]) for span in of_row
        ]
    return found


def test_finding_spans_hold_a_wording_of_the_finding(spans):
    words = {f.name: set().union(*f.words) for f in tables.load().findings}
    typed, count = 0, 0
    errors = {
        (row[0], span["field"], span["start"]): span["value"]
        for row, span, _ in spans
        if span["kind"] == "typo"
    }
    for row, span, text in spans:
        if span["kind"].startswith("finding_"):
            clean = errors.get((row[0], span["field"], span["start"]))
            reading = re.search(r"\d", text) is not None and text not in words[span["value"]]
            typed += clean is not None
            count += 1
            assert reading or (clean or text) in words[span["value"]]
    assert 0.01 < typed / count < 0.12


def test_identity_spans_hold_the_planted_value(spans):
    seen = set()
    for _, span, text in spans:
        if span["kind"] in IDENTITY:
            seen.add(span["kind"])
            assert text.translate(CLEAN) == span["value"].translate(CLEAN)
            if span["kind"] == "id_card":
                assert identity.id_check(span["value"][:17]) == span["value"][17]
    assert seen == IDENTITY


def test_numbers_and_negation_stand_where_they_are_said_to(spans):
    kinds = {span["kind"] for _, span, _ in spans}
    assert {"negation", "duration", "vital", "side", "date", "drug", "dose", "age"} <= kinds
    assert {"finding_family", "finding_past", "finding_uncertain"} <= kinds
    for _, span, text in spans:
        if span["kind"] == "vital":
            assert span["value"].split(":")[1].split("/")[0] in text
        elif span["kind"] in {"negation", "drug", "dose", "past", "disease_family"}:
            assert text == span["value"]
        elif span["kind"] == "side":
            assert text[0] in "左右双"


def test_every_present_and_denied_finding_is_mentioned_as_such(pages):
    for row in pages.truth.slice(0, 1500).to_pylist():
        said = {(s["kind"], s["value"]) for s in row["spans"]}
        present = {value for kind, value in said if kind == "finding_present"}
        denied = {value for kind, value in said if kind == "finding_denied"}
        assert present == set(row["present"])
        assert denied == set(row["denied"])


def test_texts_are_of_outpatient_length_and_cleanly_joined(pages):
    lengths = sorted(sum(map(len, row[7:10])) for row in pages.outpatient)
    assert 60 <= lengths[len(lengths) // 2] <= 200
    assert lengths[len(lengths) // 20] > 40
    assert all(row[7] for row in pages.outpatient)
    for row in pages.outpatient:
        for text in row[7:10]:
            assert not re.search(r"[，。；、]{2}|\{|\}|^[，。；、]", text)


def test_names_in_the_text_are_the_patients_of_the_database(pages, spans):
    names = {row[0]: row[1] for row in pages.patients}
    for row, span, text in spans:
        if span["kind"] == "patient_name":
            assert text == names[row[1]]


def test_id_check_is_the_standards():
    # The example in GB 11643-1999's annex.
    assert identity.id_check("11010519491231002") == "X"


def test_typing_errors_change_a_word_by_little():
    draw = uniforms(rng.generator(1, "typos"))
    typos = wording.load_typos()
    for word in ("咳嗽", "上腹饱胀", "HbA1c↑", "双肺呼吸音粗"):
        for _ in range(200):
            wrong = wording.mistype(draw, word, typos)
            assert wrong
            assert abs(len(wrong) - len(word)) <= 1
            assert len(set(word) - set(wrong)) <= 1


def test_page_keeps_offsets_while_joints_are_trimmed():
    page = Page()
    page.turn("note")
    page.add("，。伴")
    page.mark("发热", "finding_present", "发热")
    text = page.close("。")
    assert text == "伴发热。"
    assert page.take_mentions() == [("note", 1, 3, "finding_present", "发热")]
    assert page.take_mentions() == []


def test_clauses_know_what_they_need():
    clause = compile_clause(
        "{for}前{onset?}{main}{denial:无}", frozenset({"onset", "main"}), {"for"}
    )
    assert clause.needs == ("main",)
    assert ("", "denial", "无") in clause.steps
    with pytest.raises(ConfigError, match="unknown slot"):
        compile_clause("{nothing}", frozenset(), frozenset())


def test_numbers_in_chinese():
    assert [wording.chinese(n) for n in (1, 2, 10, 11, 20, 22, 35)] == [
        "一",
        "两",
        "十",
        "十一",
        "二十",
        "二十二",
        "三十五",
    ]

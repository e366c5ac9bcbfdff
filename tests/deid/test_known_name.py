"""English names from a column: in part, in either order, and not where they are words."""

from __future__ import annotations

import pytest

from emrobust.config import Deid
from emrobust.deid import known_name
from emrobust.deid.audit import Part, look
from emrobust.deid.detect import detect, load
from emrobust.deid.operator import Subject
from emrobust.deid.policy import build
from emrobust.deid.prefilter import Needles
from emrobust.deid.treatment import Treated, Treatment

NOTE = "James reports pain. Jones was seen. Jones, James. Told JONES to rest, per Johnson MD."


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("James Jones", NOTE, ["James", "Jones", "Jones, James", "JONES"]),
        (
            "Jones, James R.",
            "James R. Jones; Jones's wife; Jonesville",
            ["James R. Jones", "Jones"],
        ),
        ("Dr. Mary Johnson MD", "seen by Johnson MD; the Doctor, MD", ["Johnson"]),
        ("Wei Li", "Li, Wei. Wei Li. Li neg", ["Li, Wei", "Wei Li"]),
        ("Piet van der Berg", "Pt Van der Berg, Berg", ["Van der Berg, Berg"]),
        ("Anne O'Brien", "Anne said: O’Brien", ["Anne", "O’Brien"]),
        ("James Wilson", "Wilson's disease, Bell’s Palsy; Wilson is in", ["Wilson"]),
        ("Pat Jackson", "Jackson-Pratt drain, Jackson table", []),
        ("Ann Foley", "Foley removed from the Foley bag; Foley denies pain", ["Foley"]),
        ("Ng An", "ng/mL, an NG tube", []),
        ("王小明", "王小明", []),
    ],
)
def test_parts_of_a_known_name(name, text, found):
    assert [text[a:b] for a, b in known_name.find(text, name)] == found


@pytest.mark.parametrize(
    "text",
    [
        "Mark the site. Long history of pain. 1. May repeat. Will return",
        "HPI: Long standing. MARK WILL. in May 2024, told in May to rest, Long-Term care",
        "mark, will, long and may",
    ],
)
def test_words_stay_though_they_are_names(text):
    assert not [
        known_name.find(text, name) for name in ("Mark Long", "May") if known_name.find(text, name)
    ]
    row = {"patient_name": ["Mark Long"], "doctor_name": ["Will", "May"]}
    assert [span for span in detect(text, load(), row) if span.detector == "known"] == []


def test_words_are_names_beside_a_part_inside_a_sentence_and_before_what_persons_do():
    text = "Mark reports pain; seen by Mark. Long, Mark. MARK LONG. May was seen by us, told May so"
    assert [text[a:b] for a, b in known_name.find(text, "Mark Long")] == [
        "Mark", "Mark", "Long, Mark", "MARK LONG",
    ]  # fmt: skip
    assert [text[a:b] for a, b in known_name.find(text, "May Ng")] == ["May", "May"]


def test_a_whole_name_is_known_in_either_order_and_case():
    row = {"patient_name": ["Karen Jackson"]}
    text = "pt karen jackson, jackson, karen"
    found = [text[s.start : s.end] for s in detect(text, load(), row)]
    assert found == ["karen jackson", "jackson, karen"]
    assert known_name.spellings("N/A") == ["N/A"]  # which is no sodium: Na


def test_a_batch_shows_texts_with_a_part_and_the_audit_counts_it():
    needles = Needles([("patient_name", ["James Jones", None, "Anne O’Brien"])], 3)
    texts = ["Told Jones so", "James", "O'Brien is here"]
    assert set(needles.find(texts)) == {0, 2}
    treatment = Treatment(load(), build(Deid(enabled=True), None))
    done = treatment.treat_all(texts, needles, lambda _: Subject("x"))
    assert done[0].text == "Told [PATIENT_NAME] so"
    part = Part()
    known = {"patient_name": ["James Jones"]}
    look(texts[0], Treated(texts[0], [], []), known, load(), part)
    assert part.known["name", "there"] == part.known["name", "part"] == 1
    look(texts[0], done[0], known, load(), part)
    assert part.known["name", "part"] == 1
    look("Told Jones, James so", Treated("", [], []), known, load(), part)
    assert part.known["name", "there"] == 3

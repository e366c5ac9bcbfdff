"""FHIR R4: what is read of a bundle, what is refused, and what is answered."""

from __future__ import annotations

import base64
import json

import pytest

from emrobust.serve.fhir import attachment, reading, writing
from emrobust.serve.fhir.resources import KINDS, Patient, ResourceError, parse
from emrobust.serve.suggestions import Suggestion, percent

NOTE = "反复胸痛3天，活动后加重，休息可缓解。"


def document(text=NOTE, *, kind="text/plain", charset="utf-8", **more):
    """A DocumentReference of Patient/p1."""
    data = base64.b64encode(text.encode(charset)).decode()
    attachment = {"contentType": f"{kind}; charset={charset}", "data": data}
    return {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "subject": {"reference": "Patient/p1"},
        "date": "2026-11-20T08:00:00+08:00",
        "content": [{"attachment": attachment}],
        **more,
    }


def condition(words, **more):
    return {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"reference": "Patient/p1"},
        "code": {"text": words},
        **more,
    }


def encounter(**more):
    return {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "in-progress",
        "subject": {"reference": "https://his.example/fhir/Patient/p1"},
        "identifier": [{"system": "urn:his:visits", "value": "V20261120"}],
        "reasonCode": [{"text": "胸痛3天"}],
        **more,
    }


def bundle(*resources, kind="collection"):
    entries = [{"fullUrl": f"urn:uuid:{n}", "resource": one} for n, one in enumerate(resources)]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def refused(*resources, **more) -> ResourceError:
    with pytest.raises(ResourceError) as told:
        reading.of_body(bundle(*resources, **more))
    assert NOTE[:4] not in str(told.value)
    return told.value


@pytest.mark.parametrize("charset", ["utf-8", "GB18030", "gbk"])
def test_a_document_is_read_in_its_character_set(charset):
    note = reading.of_body(bundle(document(charset=charset)))
    assert note.text("zh") == NOTE
    assert note.subject == {"reference": "Patient/p1"}
    assert note.record_id == "d1"
    assert note.basis == ("DocumentReference/d1",)


def test_markup_is_taken_off_and_blocks_become_lines():
    text = "<html><style>p{}</style><body><p>胸痛 &lt;3天</p><p>气促</p></body></html>"
    note = reading.of_body(bundle(document(text, kind="text/html")))
    assert note.text("zh") == "胸痛 <3天\n气促"


@pytest.mark.parametrize(
    ("markup", "words"),
    [
        ('<p title="a>b">胸痛</p><br/>气促', "胸痛\n气促"),
        ("<title/>胸痛<!-- 张三 -->3天<STYLE>p{}</STYLE >。", "胸痛3天。"),
        (
            "<?xml version='1.0'?><!DOCTYPE html><div>SpO2 <90% &amp; P>100</div>",
            "SpO2 <90% & P>100",
        ),
        ("胸痛<script>if (a<b) c();", "胸痛"),
    ],
)
def test_markup_of_many_kinds_becomes_text(markup, words):
    assert attachment.plain(markup) == words


@pytest.mark.parametrize(
    "piece", ["<a ", "<p a='", "<!--", "</", "<?", "<!", "<", "<script>", "&#"]
)
def test_markup_that_never_ends_is_read_at_once(piece):
    attachment.plain(piece * 200_000)  # took minutes, in which nobody else was answered


def test_the_visit_gives_its_number_and_earlier_diagnoses_follow_as_history():
    provisional = {"coding": [{"code": "provisional"}]}
    note = reading.of_body(
        bundle(
            encounter(),
            document(context={"encounter": [{"reference": "Encounter/e1"}]}),
            condition("高血压病", note=[{"text": "服药10年"}]),
            condition("冠心病", encounter={"reference": "Encounter/e1"}),
            condition("肺炎", verificationStatus=provisional),
        )
    )
    assert note.record_id == "V20261120"
    assert note.encounter == "Encounter/e1"
    assert note.text("zh") == f"{NOTE}\n既往史：高血压病，服药10年"
    assert note.text("en").endswith("Past history: 高血压病，服药10年")


def of_visit(visit, day, **more):
    """A document of a visit, written on a day of November."""
    date = f"2026-11-{day:02d}T08:00:00+08:00"
    context = {"encounter": [{"reference": visit}]}
    return document(f"第{day}日：{NOTE}", id=f"d{day}", date=date, context=context, **more)


@pytest.mark.parametrize("turned", [False, True])
def test_the_note_is_that_of_the_newest_documents_visit_whatever_the_order(turned):
    old = encounter(id="e0", identifier=[{"value": "V0"}], period={"start": "2026-11-01"})
    both = [
        old, encounter(period={"start": "2026-11-09"}),
        of_visit("Encounter/e1", 20), of_visit("Encounter/e0", 2), of_visit("Encounter/e1", 9),
        condition("冠心病", encounter={"reference": "Encounter/e1"}),
    ]  # fmt: skip
    note = reading.of_body(bundle(*(reversed(both) if turned else both)))
    assert (note.encounter, note.record_id) == ("Encounter/e1", "V20261120")
    assert note.basis == ("DocumentReference/d9", "DocumentReference/d20")
    assert note.text("zh") == f"第9日：{NOTE}\n第20日：{NOTE}"
    assert note.date.startswith("2026-11-20")
    only = reading.of_body(bundle(old, of_visit("Encounter/e9", 20)))
    assert (only.encounter, only.record_id) == ("Encounter/e9", "e9")
    # A document that names none of two visits may be of either.
    unsure = reading.of_body(bundle(old, encounter(), document()))
    assert (unsure.encounter, unsure.record_id, unsure.reason) == ("", "d1", "")
    reasons = [
        old,
        encounter(period={"start": "2026-11-09T08:00:00Z"}, reasonCode=[{"text": "咳"}]),
    ]
    newest = reading.of_body(bundle(*(reversed(reasons) if turned else reasons)))
    assert (newest.encounter, newest.text("zh")) == ("Encounter/e1", "咳")


def test_a_visit_may_be_referred_to_by_its_address_in_the_bundle():
    own = condition("冠心病", encounter={"reference": "urn:uuid:0"})
    note = reading.of_body(bundle(encounter(), document(), own))
    assert (note.encounter, note.history) == ("Encounter/e1", ())
    assert reading.of_body(bundle(encounter(), of_visit("urn:uuid:0", 3))).record_id == "V20261120"


def test_a_document_entered_in_error_is_not_read():
    assert refused(document(docStatus="entered-in-error")).code == "required"


def test_without_a_document_the_reason_of_the_visit_is_read():
    note = reading.of_body(bundle(encounter()))
    assert (note.text("zh"), note.basis) == ("胸痛3天", ("Encounter/e1",))


def test_a_composition_is_read_section_by_section():
    sections = [{"title": "主诉", "text": {"status": "generated", "div": "<div>胸痛</div>"}}]
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "section": sections,
    }
    assert reading.of_body(bundle(composition, kind="document")).text("zh") == "主诉：胸痛"


def test_an_identifier_in_which_a_text_slipped_is_not_taken_for_a_number():
    visit = encounter(identifier=[{"value": "张三 胸痛 三天"}])
    assert reading.of_body(bundle(visit)).record_id == "e1"


def test_one_patient_may_be_referred_to_in_several_ways():
    patient = {"resourceType": "Patient", "id": "p1"}
    by_url = document(subject={"reference": "urn:uuid:0"})
    versioned = condition("高血压病", subject={"reference": "Patient/p1/_history/2"})
    note = reading.of_body(bundle(patient, by_url, versioned, encounter()))
    assert note.subject == {"reference": "Patient/p1"}
    logical = {"identifier": {"system": "urn:his", "value": "77"}}
    assert reading.of_body(bundle(document(subject=logical))).subject == logical


def test_a_missing_subject_is_refused_with_its_place():
    nobodys = document()
    del nobodys["subject"]
    error = refused(nobodys)
    assert error.code == "required"
    assert error.where == ("Bundle.entry[0].resource.subject",)
    bare = condition("高血压病")
    del bare["subject"]
    assert refused(document(), bare).code == "required"


def test_a_wrong_element_is_counted_once_and_named_as_fhir_names_it():
    for given, places in (
        ({"id": "a b"}, ("Patient.id",)),
        ({"id": "a" * 65}, ("Patient.id",)),
        ({"id": None}, ("Patient.id",)),
        ({"id": "p1\n"}, ("Patient.id",)),
    ):
        with pytest.raises(ResourceError) as told:
            parse(Patient, {"resourceType": "Patient", **given}, "Patient")
        assert told.value.where == places
        assert told.value.message.startswith("Patient has 1 element(s)")
    assert parse(Patient, {"resourceType": "Patient", "id": ""}, "Patient").id == ""


def test_no_element_is_of_several_types():
    """Or a mistake's place would name the type, which is no FHIRPath."""
    for kind in KINDS.values():
        schema = json.dumps(kind.model_json_schema())
        assert "anyOf" not in schema, kind


def test_two_patients_are_refused():
    error = refused(document(), condition("高血压病", subject={"reference": "Patient/p2"}))
    assert error.code == "business-rule"
    assert len(error.where) == 2
    assert refused(document(subject={"reference": "Group/p1"})).code == "value"


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        ({"data": "%%%"}, "value", "content[0].attachment.data"),
        ({"data": base64.b64encode(b"\xff\xfe\xff").decode()}, "value", "attachment.data"),
        ({"data": "QQ==", "contentType": "text/plain; charset=klingon"}, "not-supported", "Type"),
        ({"data": None}, "structure", "attachment.data"),
        ({"url": "Binary/1"}, "required", "Bundle.entry"),
        ({"data": 7}, "structure", "attachment.data"),
    ],
)
def test_a_broken_attachment_is_refused(change, code, where):
    broken = document()
    broken["content"][0]["attachment"] = {"contentType": "text/plain", **change}
    error = refused(broken)
    assert error.code == code
    assert where in error.where[0]


@pytest.mark.parametrize(
    ("resources", "kind", "code"),
    [
        ([document(subject=None)], "collection", "structure"),
        ([document(content=[])], "collection", "structure"),
        ([document(status="entered-in-error")], "collection", "required"),
        ([condition("高血压病")], "collection", "required"),
        ([], "collection", "required"),
        ([document()], "transaction", "not-supported"),
    ],
)
def test_what_is_no_bundle_with_a_note_is_refused(resources, kind, code):
    assert refused(*resources, kind=kind).code == code


@pytest.mark.parametrize("value", [[], {}, {"resourceType": "Patient"}, {"resourceType": "Bundle"}])
def test_another_body_is_refused(value):
    with pytest.raises(ResourceError):
        reading.of_body(value)


@pytest.mark.parametrize(
    ("name", "value"), [("bundle", bundle(document())), ("document", document())]
)
def test_a_document_may_come_alone_and_either_in_parameters(name, value):
    for body in (
        value,
        {"resourceType": "Parameters", "parameter": [{"name": name, "resource": value}]},
    ):
        note = reading.of_body(body)
        assert note.text("zh") == NOTE
        assert note.subject == {"reference": "Patient/p1"}
        assert note.record_id == "d1"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"subject": {}}, "DocumentReference.subject"),
        ({"status": "entered-in-error"}, "DocumentReference.content"),
        ({"content": []}, "DocumentReference.content"),
    ],
)
def test_a_document_alone_needs_its_patient_and_its_text(change, where):
    with pytest.raises(ResourceError) as told:
        reading.of_body(document(**change))
    assert told.value.where[0].startswith(where)


FOUND = (
    Suggestion("I20", "心绞痛", ("I20",), 0.8123456, chosen=True, inside=True),
    Suggestion("I21", "急性心肌梗死", ("I21.900x001",), 0.1, chosen=False, inside=True),
    Suggestion("心律失常", "心律失常", ("I47", "I48"), 0.01, chosen=True, inside=False),
    Suggestion("other", "其他", (), 0.005, chosen=True, inside=False),
)


def nodes(value):
    """All values of a JSON, with their keys."""
    yield value
    for child in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from nodes(child)


def test_the_answer_is_a_preliminary_assessment_and_provisional_conditions(advice):
    note = reading.of_body(bundle(encounter(), document()))
    told = writing.bundle(advice(*FOUND), note)
    assessment, *conditions = [entry["resource"] for entry in told["entry"]]
    assert assessment["status"] == "preliminary"
    assert assessment["subject"] == note.subject
    assert [one["probabilityDecimal"] for one in assessment["prediction"]] == [81.23, 10, 1, 0.5]
    risks = [one["qualitativeRisk"]["coding"][0]["code"] for one in assessment["prediction"]]
    assert risks == ["high", "low", "negligible", "negligible"]
    codings = [one["outcome"].get("coding") for one in assessment["prediction"]]
    assert set(codings[0][0]) == {"system", "code"}  # a class's title is no code's display
    assert codings[0][0]["system"] == "http://hl7.org/fhir/sid/icd-10"
    assert codings[1][0]["system"].startswith("urn:oid:")
    assert codings[2] is None  # a class of two codes is neither
    assert [one["code"]["text"] for one in conditions] == ["心绞痛", "心律失常"]
    for one in conditions:
        assert one["verificationStatus"]["coding"][0]["code"] == "provisional"
        assert one["evidence"][0]["detail"][0]["reference"] == told["entry"][0]["fullUrl"]
        assert one["encounter"] == {"reference": "Encounter/e1"}
    assert None not in nodes(told)
    assert NOTE not in json.dumps(told, ensure_ascii=False)


def test_a_model_that_is_not_sure_makes_no_condition(advice):
    told = writing.bundle(
        advice(*FOUND, reasons=("set_too_wide",)), reading.of_body(bundle(document()))
    )
    (entry,) = told["entry"]
    assert "没有把握" in entry["resource"]["note"][0]["text"]


def test_nothing_is_said_to_be_certain_or_impossible():
    assert [writing._percentage(of) for of in (0.99997, 0.5, 0.00001)] == [99.99, 50.0, 0.01]
    assert [percent(of) for of in (0.9963, 0.5, 0.001)] == [">99%", "50%", "<1%"]

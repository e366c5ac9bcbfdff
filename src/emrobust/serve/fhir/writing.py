"""A diagnosis → the resources that say it: a RiskAssessment and provisional Conditions.

A RiskAssessment is ``preliminary`` and a Condition ``provisional``, since nobody has confirmed
either. R4 writes a probability as a percentage (RiskAssessment.prediction.probability, and its
constraint ras-2), so 0.72 is 72.
"""

from __future__ import annotations

from typing import Any

from emrobust.errors import LabelError
from emrobust.labels import icd10
from emrobust.serve.fhir.reading import Note, table
from emrobust.serve.suggestions import Advice, Suggestion, percent

VERSION = "4.0.1"
MEDIA_TYPE = "application/fhir+json"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
_PERCENT_DIGITS = 2

Json = dict[str, Any]


def concept(suggestion: Suggestion) -> Json:
    """A label as CodeableConcept.

    A class that gathers several codes has no code: codings of one concept must mean the same. No
    `display` is given, since it must be the code system's own, and a class may be titled otherwise:
    I10 by its block, Hypertensive diseases (I10–I15).
    """
    made: Json = {"text": suggestion.words}
    if len(suggestion.codes) == 1:
        code = suggestion.codes[0]
        made["coding"] = [{"system": system_of(code), "code": code}]
    return made


def system_of(code: str) -> str:
    """The code system of an ICD-10 code: WHO's, or the Chinese extensions'."""
    systems = table()["systems"]
    try:
        parsed = icd10.parse(code)
    except LabelError:
        return str(systems["china"])
    own = parsed.full in (parsed.category, parsed.subcategory)
    return str(systems["who" if own else "china"])


def condition(one: Suggestion, advice: Advice, note: Note, *evidence: str) -> Json:
    """A provisional Condition; nobody has confirmed it.

    Args:
        one: the label.
        advice: whose it is.
        note: what it rests on.
        evidence: references beside those of the note.
    """
    rests_on = [{"reference": name} for name in (*evidence, *note.basis)]
    shown: Json = {"code": [{"text": f"{advice.model}: {percent(one.probability)}"}]}
    if rests_on:
        shown["detail"] = rests_on
    made: Json = {
        "resourceType": "Condition",
        "clinicalStatus": _coded(_CLINICAL, "active"),
        "verificationStatus": _coded(_VERIFICATION, "provisional"),
        "category": [_coded(_CATEGORY, "encounter-diagnosis")],
        "code": concept(one),
        "subject": dict(note.subject),
        "recordedDate": advice.at,
        "evidence": [shown],
    }
    if note.encounter:
        made["encounter"] = {"reference": note.encounter}
    return made


def risk_assessment(advice: Advice, note: Note) -> Json:
    """What the model holds likely, label by label, also where it is not sure."""
    words = table()["note"]
    words = words.get(advice.language, words["en"])
    made: Json = {
        "resourceType": "RiskAssessment",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{advice.prediction}"}],
        "status": "preliminary",
        "method": {"text": words["method"].format(model=advice.model)},
        "subject": dict(note.subject),
        "occurrenceDateTime": advice.at,
        "prediction": [_predict(one) for one in advice.suggestions],
        "note": [{"text": words["abstained" if advice.reasons else "suggestion"]}],
    }
    if note.encounter:
        made["encounter"] = {"reference": note.encounter}
    if note.basis:
        made["basis"] = [{"reference": name} for name in note.basis]
    return made


def _predict(suggestion: Suggestion) -> Json:
    risk = table()["risk"]
    step = next(step for step in risk["step"] if suggestion.probability < step["below"])
    coding = {"system": risk["system"], "code": step["code"], "display": step["display"]}
    return {
        "outcome": concept(suggestion),
        "probabilityDecimal": _percentage(suggestion.probability),
        "qualitativeRisk": {"coding": [coding]},
    }


def _percentage(probability: float) -> float:
    """Nothing is certain, and nothing impossible."""
    least = 10.0**-_PERCENT_DIGITS
    return round(min(max(100 * probability, least), 100 - least), _PERCENT_DIGITS)


def bundle(advice: Advice, note: Note) -> Json:
    """A RiskAssessment, and a provisional Condition for each label that is decided for.

    Where the model is not sure there is no Condition.
    """
    assessed = f"urn:uuid:{advice.prediction}"
    entries = [{"fullUrl": assessed, "resource": risk_assessment(advice, note)}]
    for one in () if advice.reasons else advice.suggestions:
        if one.chosen and one.is_diagnosis:
            made = condition(one, advice, note, assessed)
            entries.append({"fullUrl": f"urn:uuid:{advice.name(one)}", "resource": made})
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": advice.at,
        "entry": entries,
    }


def _coded(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}

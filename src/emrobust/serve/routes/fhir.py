"""``/fhir``: FHIR R4. A Bundle with a note in; RiskAssessment and provisional Conditions out.

The service keeps no resources, so it offers one operation and no interactions: a Bundle of the
types batch and transaction is refused. Errors are OperationOutcomes (`emrobust.serve.fhir`).
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends
from fastapi.responses import JSONResponse, Response
from pydantic import WithJsonSchema
from pydantic.json_schema import JsonSchemaValue

from emrobust import __version__
from emrobust.serve import service as room
from emrobust.serve.admission import scored
from emrobust.serve.consultation import Asked, consult
from emrobust.serve.fhir import outcome, reading, writing
from emrobust.serve.fhir.resources import ResourceError
from emrobust.serve.gate import Clinician
from emrobust.serve.json_body import JsonRoute
from emrobust.serve.suggestions import advise

Service = Annotated[room.Service, Depends(room.of)]
OPERATION = "urn:emrobust:operation:diagnose"
_CODE = "diagnose"
_MOST = 10  # predictions of a RiskAssessment
_SINCE = "2026-11-22"


class FhirResponse(JSONResponse):
    """JSON as FHIR calls it."""

    media_type = writing.MEDIA_TYPE


router = APIRouter(
    tags=["fhir"],
    prefix="/fhir",
    default_response_class=FhirResponse,
    route_class=JsonRoute,
)

_OUTCOME = {
    "type": "object",
    "required": ["resourceType", "issue"],
    "properties": {
        "resourceType": {"const": "OperationOutcome"},
        "issue": {"type": "array", "minItems": 1, "items": {"type": "object"}},
    },
}


_RESOURCE: JsonSchemaValue = {
    "type": "object",
    "required": ["resourceType"],
    "properties": {"resourceType": {"enum": list(reading.BODIES)}},
}


def _responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {writing.MEDIA_TYPE: {"schema": _OUTCOME}}
    return {status: {"description": "OperationOutcome", "content": content} for status in statuses}


@router.post(
    "/$diagnose",
    responses=_responses(400, 401, 403, 404, 408, 413, 415, 422, 429, 503, 504, 507),
)
@scored
async def diagnose(
    given: Annotated[
        dict[str, Any], Body(media_type=writing.MEDIA_TYPE), WithJsonSchema(_RESOURCE)
    ],
    caller: Clinician,
    service: Service,
) -> dict[str, Any]:
    """Read the note of a Bundle, or a DocumentReference (or Parameters with either as a part)."""
    try:
        # A large page of HTML takes half a second, in which others must be answered.
        note = await asyncio.to_thread(reading.of_body, given)
    except ResourceError as error:
        return _refused(error)  # type: ignore[return-value]  # FastAPI passes a response on
    served = service.catalog.find()
    text = note.text(str(served.package.facts["language"]))
    asked = Asked(text=text, record_id=note.record_id, model=served.full_name)
    found = await consult(service, caller, asked)
    return writing.bundle(advise(found, _MOST), note)


def _refused(error: ResourceError) -> Response:
    return FhirResponse(outcome.of_error(error), 422)


@router.get("/metadata", responses=_responses(401, 403, 429, 503))
async def show_capabilities(caller: Clinician) -> dict[str, Any]:
    """The CapabilityStatement."""
    del caller
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _SINCE,
        "kind": "instance",
        "software": {"name": "emrobust", "version": __version__},
        "implementation": {"description": "Diagnosis suggestions from outpatient notes"},
        "fhirVersion": writing.VERSION,
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "Authorization: Bearer, with an API key or a token"},
                "operation": [{"name": _CODE, "definition": OPERATION}],
            }
        ],
    }


@router.get("/OperationDefinition/diagnose", responses=_responses(401, 403, 429, 503))
async def show_operation(caller: Clinician) -> dict[str, Any]:
    """What the operation takes and gives."""
    del caller
    return {
        "resourceType": "OperationDefinition",
        "id": _CODE,
        "url": OPERATION,
        "name": "Diagnose",
        "status": "active",
        "kind": "operation",
        "date": _SINCE,
        "affectsState": False,
        "code": _CODE,
        "description": (
            "Reads the note of one patient and answers with a preliminary RiskAssessment and, "
            "where the model is sure, provisional Conditions. No resource is kept."
        ),
        "system": True,
        "type": False,
        "instance": False,
        "parameter": [
            {
                "name": "bundle",
                "use": "in",
                "min": 0,
                "max": "1",
                "documentation": (
                    f"Of type {', '.join(reading.BUNDLES)}: Patient, DocumentReference with the "
                    "text inside, Composition, Encounter, Condition (past history)."
                ),
                "type": "Bundle",
            },
            {
                "name": "document",
                "use": "in",
                "min": 0,
                "max": "1",
                "documentation": "In place of a Bundle: the note alone, with its subject.",
                "type": "DocumentReference",
            },
            {
                "name": "return",
                "use": "out",
                "min": 1,
                "max": "1",
                "documentation": "Of type collection: RiskAssessment, Condition.",
                "type": "Bundle",
            },
        ],
    }

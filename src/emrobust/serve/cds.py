"""CDS Hooks 2.0: what a client sends → the note, a diagnosis → cards.

Pure mappings. No ``systemActions`` are ever given, since nothing shall be applied that nobody has
seen, and nothing of a note is in a card. ``fhirServer`` and ``fhirAuthorization`` are not used:
the service makes no outward call.
"""

from __future__ import annotations

import tomllib
import uuid
from collections.abc import Mapping
from functools import cache
from importlib import resources as files
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emrobust.serve.fhir import reading, writing
from emrobust.serve.fhir.reading import Note
from emrobust.serve.fhir.resources import Id
from emrobust.serve.problem import RefusedError
from emrobust.serve.suggestions import Advice, Suggestion, percent

SECONDS = 0.5  # a client waits about so long
_LONGEST_SUMMARY = 139  # characters: fewer than 140
_MOST = 5  # suggestions of a card
_MARKED = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#"})

Json = dict[str, Any]
Hook = Literal["patient-view", "encounter-start"]


class Sent(BaseModel):
    """Base of what clients send; they may add what later versions know."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Context(Sent):
    """Where in the client's work the hook is."""

    userId: str = Field(  # noqa: N815 - CDS Hooks' name, as are those below
        pattern=r"^(Practitioner|PractitionerRole|Patient|RelatedPerson)/[A-Za-z0-9\-.]{1,64}$"
    )
    patientId: Id  # noqa: N815
    encounterId: Id = ""  # noqa: N815


class Call(Sent):
    """A call of a service."""

    hook: Hook
    hookInstance: uuid.UUID  # noqa: N815
    context: Context
    prefetch: dict[str, Any] = {}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.hook == "encounter-start" and not self.context.encounterId:
            raise ValueError("encounter-start needs context.encounterId")
        return self


@cache
def table() -> dict[str, Any]:
    """The words and templates of ``cds.toml``."""
    file = files.files(__package__).joinpath("cds.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _in(language: str, of: Mapping[str, Any]) -> Any:
    return of.get(language, of["en"])


def services(language: str) -> Json:
    """What discovery answers."""
    needs = _in(language, table()["words"])["needs"]
    told = [
        {
            "hook": service["hook"],
            "id": service["id"],
            **_in(language, service),
            "prefetch": service["prefetch"],
            "usageRequirements": needs,
        }
        for service in table()["service"]
    ]
    return {"services": told}


def service_of(name: str) -> Mapping[str, Any]:
    """A service by its id.

    Raises:
        RefusedError: there is none (404).
    """
    for service in table()["service"]:
        if service["id"] == name:
            return dict(service)
    raise RefusedError(404, "not_found", "there is no such CDS service", "See GET /cds-services.")


def read(call: Call, service: Mapping[str, Any]) -> Note:
    """The note of what was prefetched.

    Raises:
        RefusedError: another service's hook (422), or nothing to read was sent (412).
        ResourceError: what was sent is not as FHIR says, or of another patient.
    """
    if call.hook != service["hook"]:
        raise RefusedError(
            422,
            "wrong_hook",
            "this service is of another hook",
            f"It is called with the hook {service['hook']}; see GET /cds-services.",
        )
    found = [
        one
        for key in service["prefetch"]
        if call.prefetch.get(key) is not None  # null: the client has no such data
        for one in reading.unpack(call.prefetch[key], f"prefetch.{key}")
    ]
    visit = call.context.encounterId if call.hook == "encounter-start" else ""
    note = reading.gather(found, call.context.patientId, visit, newest=True)
    if note.is_blank:
        raise RefusedError(
            412,
            "no_prefetch",
            "the prefetched data hold no text of a note",
            "Send `documents` with the text inside (attachment.data), or `encounter` with a "
            "reason; nothing is fetched.",
        )
    return note


def card(advice: Advice, note: Note, page: str = "") -> Json:
    """The one card that a diagnosis gives.

    Args:
        advice: the diagnosis; where the model is not sure, there is nothing to accept.
        note: what it rests on.
        page: address of the service's page, for a link.
    """
    words = _in(advice.language, table()["words"])
    codes = table()["card"]
    told: Json = {
        "uuid": advice.prediction,
        "summary": words["unsure"] if advice.reasons else _summarise(advice, words),
        "indicator": "warning" if set(advice.warnings) & set(codes["warns"]) else "info",
        "detail": _detail(advice, note, words),
        "source": {
            "label": words["source"].format(model=advice.model),
            "topic": {
                "system": codes["topic_system"],
                "code": codes["topic_code"],
                "display": words["topic"],
            },
        },
        "overrideReasons": _reasons(advice.language),
    }
    if page:
        told["source"]["url"] = page
        told["links"] = [{"label": words["link"], "url": page, "type": "absolute"}]
    shown = [one for one in advice.suggestions if one.is_diagnosis and (one.chosen or one.inside)]
    if shown and not advice.reasons:
        told["suggestions"] = [_suggest(one, advice, note, words) for one in shown[:_MOST]]
        told["selectionBehavior"] = "at-most-one" if advice.task == "single" else "any"
    return told


def _reasons(language: str) -> list[Json]:
    """Why a card may be dismissed, as Coding."""
    known = table()["override"]
    return [
        {"system": known["system"], "code": one["code"], "display": _in(language, one)}
        for one in known["reason"]
    ]


def _summarise(advice: Advice, words: Mapping[str, str]) -> str:
    """As many chosen labels as fit."""
    summary = words["summary"].format(labels="")
    comma = ""
    for one in advice.suggestions:
        if not one.chosen:
            continue
        added = summary + comma
        added += words["item"].format(words=one.words, share=percent(one.probability))
        if len(added) >= _LONGEST_SUMMARY:
            return f"{summary if comma else added[: _LONGEST_SUMMARY - 1]}…"
        summary, comma = added, words["comma"]
    return summary


def _detail(advice: Advice, note: Note, words: Mapping[str, str]) -> str:
    """GitHub's Markdown: why the model is not sure, a table, the set, what was read."""
    said = _in(advice.language, table()["codes"])
    comma = words["comma"]
    rows = [
        f"| {_escape(one.words)} | {', '.join(one.codes)} | {_escape(share)} |"
        for one in advice.suggestions[:_MOST]
        for share in [percent(one.probability, 1)]
    ]
    parts = [said.get(code, code) for code in (*advice.reasons, *advice.warnings)]
    parts.append("\n".join([words["head"], "|---|---|---:|", *rows]))
    inside = comma.join(one.words for one in advice.suggestions if one.inside)
    if advice.coverage is not None and inside and not advice.reasons:
        share = f"{advice.coverage:.0%}"
        parts.append(words["set"].format(coverage=share, labels=_escape(inside)))
    if note.basis:
        parts.append(words["basis"].format(basis=_escape(comma.join(note.basis))))
    if note.date:
        parts.append(words["date"].format(date=_escape(note.date[:10])))
    parts.append(words["caution"].format(model=_escape(advice.model)))
    return "\n\n".join(parts)


def _escape(text: str) -> str:
    return text.translate(_MARKED)


def _suggest(one: Suggestion, advice: Advice, note: Note, words: Mapping[str, str]) -> Json:
    resource = writing.condition(one, advice, note)
    described = words["action"].format(words=one.words)
    return {
        "label": words["suggest"].format(words=one.words),
        "uuid": advice.name(one),
        "isRecommended": one.chosen,
        "actions": [{"type": "create", "description": described, "resource": resource}],
    }

"""Resources → the note that a model reads, whose it is, and what it rests on.

A note is what the current documents of one visit say, the newest one; where none says anything,
the reason of the visit. Diagnoses of earlier visits follow as past history; those of this visit do
not, since they are what the model is asked for, nor do provisional ones, of which some may be the
service's own. Everything must be of one patient.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib import resources as files
from typing import Any, NamedTuple, TypeVar

from emrobust.serve.fhir import attachment
from emrobust.serve.fhir.resources import (
    KINDS,
    Bundle,
    Composition,
    Condition,
    DocumentReference,
    Encounter,
    Known,
    Patient,
    Reference,
    ResourceError,
    Section,
    parse,
)

# Other types carry requests to a server that keeps resources, which this one does not.
BODIES = ("Bundle", "DocumentReference", "Parameters")
PARTS = ("bundle", "document")  # of Parameters
BUNDLES = ("collection", "document", "message", "searchset")
_UNCERTAIN = ("refuted", "entered-in-error", "provisional", "differential", "unconfirmed")
_RELATIVE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?$")
_LONGEST_NUMBER = 64
T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """A resource and where it was.

    Attributes:
        where: FHIRPath.
        resource: of a kind that is read.
        url: its absolute address in a bundle.
    """

    where: str
    resource: Known
    url: str = ""

    @property
    def reference(self) -> str:
        """How others refer to it; empty where nothing names it."""
        own = self.resource
        return f"{own.resourceType}/{own.id}" if own.id else self.url


@dataclass(frozen=True)
class Note:
    """What a model reads, and what its answer refers to.

    Attributes:
        subject: reference to the patient, as FHIR's JSON.
        documents: the texts, in the order given.
        reason: what the patient came for.
        history: diagnoses of earlier visits.
        encounter: reference to the visit; empty where none is named.
        record_id: the visit's number, else the document's.
        basis: references to what was read.
        date: of the newest document.
    """

    subject: Mapping[str, Any]
    documents: tuple[str, ...] = ()
    reason: str = ""
    history: tuple[str, ...] = ()
    encounter: str = ""
    record_id: str | None = None
    basis: tuple[str, ...] = ()
    date: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether it says nothing of this visit."""
        return not (self.documents or self.reason)

    def text(self, language: str) -> str:
        """One text; headings are in the model's language."""
        words = table()["headings"]
        words = words.get(language, words["en"])
        parts = list(self.documents) or [self.reason]
        if self.history:
            parts.append(words["history"] + words["comma"].join(self.history))
        return "\n".join(filter(None, parts))


@cache
def table() -> dict[str, Any]:
    """The words and code systems of ``fhir.toml``."""
    file = files.files(__package__).joinpath("fhir.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


def of_body(value: Any) -> Note:
    """The note of a bundle, or of a document that names its patient.

    Raises:
        ResourceError: no bundle of a kind that is taken, an element that is wrong, no patient or
            several, or nothing to read.
    """
    if not isinstance(value, dict) or value.get("resourceType") not in BODIES:
        hint = "Put the note's resources into a Bundle; see GET /fhir/metadata."
        raise ResourceError("structure", "the body is neither a Bundle nor a document", hint)
    if value["resourceType"] == "Parameters":
        value = _unwrap(value)
    note = gather(_resources(value))
    if note.is_blank:
        raise ResourceError(
            "required",
            "there is no text to read",
            "Put the note's text into DocumentReference.content.attachment.data; what a url "
            "points to is not fetched.",
            ("Bundle.entry" if value["resourceType"] == "Bundle" else "DocumentReference.content",),
        )
    return note


def _resources(value: Any) -> list[Found]:
    """The resources of a bundle of a kind that is taken, or the document itself."""
    if isinstance(value, dict) and value.get("resourceType") == "DocumentReference":
        return unpack(value, "DocumentReference")
    bundle = parse(Bundle, value, "Bundle")
    if bundle.type not in BUNDLES:
        raise ResourceError(
            "not-supported",
            "a Bundle of this type is not taken here",
            f"Send the resources as one of: {', '.join(BUNDLES)}.",
            ("Bundle.type",),
        )
    return list(_entries(bundle, "Bundle"))


def _unwrap(parameters: dict[str, Any]) -> Any:
    """The resource of FHIR's envelope for operations."""
    given = parameters.get("parameter")
    parts = given if isinstance(given, list) else []
    for part in parts:
        if isinstance(part, dict) and part.get("name") in PARTS:
            return part.get("resource")
    raise ResourceError(
        "required",
        f"Parameters has no part {' or '.join(f'`{name}`' for name in PARTS)}",
        "",
        ("Parameters.parameter",),
    )


def _entries(bundle: Bundle, where: str) -> Iterator[Found]:
    for number, entry in enumerate(bundle.entry):
        kind = KINDS.get(str(entry.resource.get("resourceType")))
        if kind is not None:
            place = f"{where}.entry[{number}].resource"
            yield Found(place, parse(kind, entry.resource, place), entry.fullUrl)


def unpack(value: Any, where: str) -> list[Found]:
    """The resources of an answer to a query: one resource, or a searchset.

    Kinds that are not read are left out, and so is an OperationOutcome: no data.

    Raises:
        ResourceError: an element is not as FHIR says.
    """
    if not isinstance(value, dict):
        raise ResourceError("structure", f"{where} is no resource", "", (where,))
    if value.get("resourceType") == "Bundle":
        return list(_entries(parse(Bundle, value, where), where))
    kind = KINDS.get(str(value.get("resourceType")))
    return [] if kind is None else [Found(where, parse(kind, value, where))]


def gather(found: list[Found], patient: str = "", visit: str = "", *, newest: bool = False) -> Note:
    """One note of what was found of one visit.

    The visit is the one that is wanted, else that of the newest document, else the newest
    Encounter. A document that names none is of the only Encounter, where there is one.

    Args:
        found: resources of one patient.
        patient: id of the patient whose they must be, where that is known.
        visit: id of the visit whose note it must be, where that is known.
        newest: read the newest document alone.

    Raises:
        ResourceError: no patient or several, nothing is of the wanted visit but something of
            another, or a document that cannot be decoded.
    """
    names = _Names(found)
    note = Note(_subject(found, patient, names))
    encounters = {
        one.reference: encounter
        for one, encounter in sorted(
            _of(found, Encounter), key=lambda pair: _moment(pair[1].period.start)
        )
    }
    written = sorted(_documents(found, names), key=lambda one: _moment(one.date))
    wanted = f"Encounter/{visit}" if visit else ""
    if len(encounters) == 1:
        written = [one._replace(visit=one.visit or next(iter(encounters))) for one in written]
    own = [one for one in written if not wanted or one.visit in ("", wanted)]
    if wanted and not own and (written or encounters) and wanted not in encounters:
        where = written[-1].where if written else "Encounter"
        raise ResourceError("business-rule", "the note is of another visit", "", (where,))
    last = own[-1].visit if own else next(reversed(encounters), "")
    own = own[-1:] if newest else [one for one in own if one.visit == last]
    note = _with_visit(note, wanted or last, encounters, own)
    note = _with_documents(note, own)
    note = _with_history(note, found, names)
    if not note.documents and note.reason:
        note = replace(note, basis=(note.encounter, *note.basis))
    return replace(note, basis=tuple(filter(None, note.basis)))


class _Names:
    """What is the same for all writings of a reference: ``Kind/id``, or the address in a bundle.

    Args:
        found: resources, some of which have an id and an address in their bundle.
    """

    def __init__(self, found: Iterable[Found]) -> None:
        self._known = {one.url: one.reference for one in found if one.url and one.reference}

    def __call__(self, reference: str) -> str:
        """The one name; empty for an empty reference."""
        match = _RELATIVE.search(reference)
        return self._known.get(reference) or (match[1] if match else reference)


class _Document(NamedTuple):
    """A current document with a text.

    Attributes:
        where: FHIRPath.
        text: what it says.
        visit: the name of its visit; empty where it names none.
        date: as FHIR writes it.
        reference: how others refer to it.
        id: its own.
    """

    where: str
    text: str
    visit: str
    date: str
    reference: str
    id: str


def _documents(found: Iterable[Found], names: _Names) -> Iterator[_Document]:
    """Current documents and compositions that say something."""
    for one in found:
        document = one.resource
        if isinstance(document, DocumentReference):
            text, visits = _read_document(one.where, document), document.context.encounter
        elif isinstance(document, Composition) and document.status != "entered-in-error":
            text, visits = "\n".join(_sections(document.section)), (document.encounter,)
        else:
            continue
        if text:
            visit = next((name for of in visits if (name := names(of.reference))), "")
            yield _Document(one.where, text, visit, document.date, one.reference, document.id)


def _moment(date: str) -> datetime:
    """When a FHIR date is, for an order; the first of all where it is not told or not readable."""
    try:
        whole = date if len(date) > len("2026-11") else f"{date}-01-01"[: len("2026-11-01")]
        at = datetime.fromisoformat(whole)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _with_visit(
    note: Note, visit: str, encounters: Mapping[str, Encounter], written: Sequence[_Document]
) -> Note:
    """The visit's number, else the newest document's, and what the patient came for."""
    own = visit.rpartition("/")[2] if _RELATIVE.fullmatch(visit) else ""
    numbers = [own, *(one.id for one in reversed(written))]
    reason = ""
    if (encounter := encounters.get(visit)) is not None:
        known = [of.value for of in encounter.identifier if _is_number(of.value)]
        numbers = [*known, encounter.id, *numbers]
        reason = "；".join(filter(None, (concept.words() for concept in encounter.reasonCode)))
    number = next(filter(None, numbers), None)
    return replace(note, encounter=visit, record_id=number, reason=reason)


def _is_number(value: str) -> bool:
    """Whether it can stand in the log: a text that slipped into an identifier must not."""
    return 0 < len(value) <= _LONGEST_NUMBER and value.isprintable() and " " not in value


def _of(found: Iterable[Found], kind: type[T]) -> Iterator[tuple[Found, T]]:
    return ((one, one.resource) for one in found if isinstance(one.resource, kind))


def _with_documents(note: Note, written: Sequence[_Document]) -> Note:
    return replace(
        note,
        documents=tuple(one.text for one in written),
        basis=tuple(one.reference for one in written),
        date=written[-1].date if written else "",
    )


def _read_document(where: str, document: DocumentReference) -> str:
    """Its first readable form: several forms of a document say the same."""
    if document.status != "current" or document.docStatus == "entered-in-error":
        return ""
    for number, content in enumerate(document.content):
        if attachment.is_readable(content.attachment):
            place = f"{where}.content[{number}].attachment"
            return attachment.read(content.attachment, place).strip()
    return ""


def _sections(sections: Iterable[Section]) -> Iterator[str]:
    for section in sections:
        text = attachment.plain(section.text.div)
        if text:
            yield f"{section.title}：{text}" if section.title else text
        yield from _sections(section.section)


def _with_history(note: Note, found: list[Found], names: _Names) -> Note:
    history, basis = [], list(note.basis)
    for one, condition in _of(found, Condition):
        now = note.encounter and names(condition.encounter.reference) == note.encounter
        if now or condition.verificationStatus.has(*_UNCERTAIN):
            continue
        words = [condition.code.words(), *(known.text for known in condition.note)]
        if text := "，".join(" ".join(word.split()) for word in words if word.strip()):
            history.append(text)
            basis.append(one.reference)
    return replace(note, history=tuple(dict.fromkeys(history)), basis=tuple(basis))


def _subject(found: list[Found], patient: str, known: _Names) -> dict[str, Any]:
    """The one patient that all resources name.

    Raises:
        ResourceError: none is named, or several are, or something that is no patient.
    """
    names: dict[str, tuple[dict[str, Any], str]] = {}
    if patient:
        names[f"Patient/{patient}"] = ({"reference": f"Patient/{patient}"}, "context.patientId")
    for one, _ in _of(found, Patient):
        if name := one.reference:
            names.setdefault(name, ({"reference": name}, one.where))
    for one in found:
        given = getattr(one.resource, "subject", None)
        if isinstance(given, Reference) and (name := _name(given, known, one.where)):
            plain = given.model_dump(exclude_defaults=True)
            names.setdefault(name, (plain, f"{one.where}.subject"))
    places = tuple(where for _, where in names.values())
    if not names:
        raise ResourceError(
            "required",
            "no resource names its patient",
            "Add a Patient, or a subject to the documents.",
            tuple(f"{one.where}.subject" for one in found) or ("Bundle.entry",),
        )
    if len(names) > 1:
        raise ResourceError(
            "business-rule",
            f"the resources are of {len(names)} patients",
            "Send what belongs to one patient, under one reference.",
            places,
        )
    ((reference, _),) = names.values()
    return reference


def _name(given: Reference, known: _Names, where: str) -> str:
    """What is the same for all writings of a reference to one patient."""
    name = known(given.reference)
    if name.startswith("urn:") or not name:
        return name or (
            given.identifier.value and f"{given.identifier.system}|{given.identifier.value}"
        )
    if not name.startswith("Patient/"):
        raise ResourceError(
            "value", f"{where}.subject is no patient", "", (f"{where}.subject.reference",)
        )
    return name

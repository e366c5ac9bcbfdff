"""The elements of FHIR R4 resources that are read, with their types; all others are passed over.

An element that is there has its type: FHIR knows no null, so none is taken. Cardinalities are
those of R4 where something depends on them, such as a document's ``content``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emrobust.errors import InputError

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9\-.]{1,64}$")]


class ResourceError(InputError):
    """A resource is not what FHIR says, or lacks what is needed.

    Args:
        code: of OperationOutcome's issue: ``required``, ``structure``, ``value`` …
        message: what is wrong; never a value.
        hint: what to do.
        where: FHIRPath of the elements.
    """

    def __init__(
        self, code: str, message: str, hint: str = "", where: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, hint)
        self.code = code
        self.where = where


class Element(BaseModel):
    """Base of all: unread elements are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Identifier(Element):
    """A number that a system of the hospital gave."""

    system: str = ""
    value: str = ""


class Reference(Element):
    """Of another resource."""

    reference: str = ""
    identifier: Identifier = Identifier()


class Coding(Element):
    """A code of a code system."""

    system: str = ""
    code: str = ""
    display: str = ""


class Concept(Element):
    """CodeableConcept."""

    coding: tuple[Coding, ...] = ()
    text: str = ""

    def words(self) -> str:
        """What a person reads: the text, else the first display."""
        shown = (coding.display for coding in self.coding if coding.display)
        return self.text or next(shown, "")

    def has(self, *codes: str) -> bool:
        """Whether one of these codes is given."""
        return any(coding.code in codes for coding in self.coding)


class Attachment(Element):
    """A document's content, inside of the resource or elsewhere."""

    contentType: str = ""  # noqa: N815 - FHIR's name
    data: str = ""
    url: str = ""


class Content(Element):
    """One form of a document."""

    attachment: Attachment


class Surroundings(Element):
    """DocumentReference.context."""

    encounter: tuple[Reference, ...] = ()


class Narrative(Element):
    """XHTML for people."""

    div: str = ""


class Section(Element):
    """Of a Composition."""

    title: str = ""
    text: Narrative = Narrative()
    section: tuple[Section, ...] = ()


class Annotation(Element):
    """A note on a resource."""

    text: str


class Resource(Element):
    """What all resources have."""

    # Some systems send an empty one; a union of types would be named in the path of a mistake.
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9\-.]{0,64}$")] = ""


class Patient(Resource):
    """Read for its id alone: whose the other resources are."""

    resourceType: Literal["Patient"]  # noqa: N815 - FHIR's name


class DocumentReference(Resource):
    """A note."""

    resourceType: Literal["DocumentReference"]  # noqa: N815
    status: Literal["current", "superseded", "entered-in-error"]
    docStatus: str = ""  # noqa: N815
    subject: Reference = Reference()
    date: str = ""
    content: tuple[Content, ...] = Field(min_length=1)
    context: Surroundings = Surroundings()


class Composition(Resource):
    """A note in sections."""

    resourceType: Literal["Composition"]  # noqa: N815
    status: Literal["preliminary", "final", "amended", "entered-in-error"]
    subject: Reference = Reference()
    encounter: Reference = Reference()
    date: str = ""
    section: tuple[Section, ...] = ()


class Period(Element):
    """A time."""

    start: str = ""


class Encounter(Resource):
    """The visit; its reason is what the patient complains of."""

    resourceType: Literal["Encounter"]  # noqa: N815
    identifier: tuple[Identifier, ...] = ()
    subject: Reference = Reference()
    period: Period = Period()
    reasonCode: tuple[Concept, ...] = ()  # noqa: N815


class Condition(Resource):
    """A diagnosis that is known already."""

    resourceType: Literal["Condition"]  # noqa: N815
    clinicalStatus: Concept = Concept()  # noqa: N815
    verificationStatus: Concept = Concept()  # noqa: N815
    code: Concept = Concept()
    subject: Reference
    encounter: Reference = Reference()
    note: tuple[Annotation, ...] = ()


class Entry(Element):
    """Of a bundle."""

    fullUrl: str = ""  # noqa: N815
    resource: dict[str, Any] = {}


class Bundle(Resource):
    """Resources in one body."""

    resourceType: Literal["Bundle"]  # noqa: N815
    type: str
    entry: tuple[Entry, ...] = ()


Known = Patient | DocumentReference | Composition | Encounter | Condition
KINDS: Mapping[str, type[Known]] = {
    kind.__name__: kind for kind in (Patient, DocumentReference, Composition, Encounter, Condition)
}
R = TypeVar("R", bound=BaseModel)


def parse(kind: type[R], value: Any, where: str) -> R:
    """A resource of this kind.

    Args:
        kind: what it must be.
        value: plain JSON.
        where: FHIRPath of it, for errors.

    Raises:
        ResourceError: an element has not its type, or one is missing.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        places = tuple(_path(where, details["loc"]) for details in found[:_MOST])
        missing = all(details["type"] == "missing" for details in found)
        raise ResourceError(
            "required" if missing else "structure",
            f"{where} lacks {len(found)} required element(s)"
            if missing
            else f"{where} has {len(found)} element(s) that are not as FHIR R4 says",
            "A null is none of FHIR's values: leave the element out.",
            places,
        ) from None


_MOST = 10


def _path(where: str, loc: tuple[int | str, ...]) -> str:
    """FHIRPath of an element; its names are those of the models above, never the caller's."""
    return where + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)

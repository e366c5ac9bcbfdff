"""What a request holds → the text that the model reads, and what is odd about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from emrobust import runs
from emrobust.config import Deid
from emrobust.language import FEWEST_LETTERS, is_foreign
from emrobust.package import Package, layout
from emrobust.serve.problem import RefusedError

# Line ends and tabs are the only control characters that a note has; halves of a surrogate pair
# are no characters.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


class Place(NamedTuple):
    """A range of characters as the caller sent them."""

    start: int
    end: int
    field: str | None


class Edit(NamedTuple):
    """A range of what was sent, and the range of what stands for it in the treated text."""

    start: int
    end: int
    treated_start: int
    treated_end: int


class Piece(NamedTuple):
    """Where a field stands in the joined text.

    Attributes:
        field: its name; None for a text that came whole.
        start: in the joined text.
        end: behind it.
        trimmed: blank characters at the treated field's start that were left out.
        edits: what de-identification replaced, in order.
    """

    field: str | None
    start: int
    end: int
    trimmed: int
    edits: tuple[Edit, ...] = ()

    def place(self, start: int, end: int) -> Place:
        """A range of the joined text, inside of this piece, as it was sent."""
        shift = self.trimmed - self.start
        first, last = start + shift, end + shift
        moved = [edit for edit in self.edits if edit.treated_start < last]
        behind = moved[-1] if moved and moved[-1].treated_end > last else None
        stop = behind.end if behind is not None else last + _moved(moved)
        before = [edit for edit in moved if edit.treated_start <= first]
        inside = before[-1] if before and before[-1].treated_end > first else None
        return Place(
            inside.start if inside is not None else first + _moved(before), stop, self.field
        )


def _moved(edits: Sequence[Edit]) -> int:
    """How much further left a place stands in the treated text, behind these edits."""
    return edits[-1].end - edits[-1].treated_end if edits else 0


class Reading(NamedTuple):
    """A text as a model reads it.

    Attributes:
        text: joined as in training.
        pieces: where its fields stand.
        warnings: codes.
        extent: characters that the model reads of it, from the first on.
    """

    text: str
    pieces: tuple[Piece, ...]
    warnings: tuple[str, ...]
    extent: int

    def places(self, start: int, end: int) -> list[Place]:
        """A range of the text as ranges of what was sent; one that spans fields becomes several."""
        found = []
        for piece in self.pieces:
            first, last = max(start, piece.start), min(end, piece.end)
            if first < last:
                found.append(piece.place(first, last))
        return found


# A field's name and text → the treated text, and what was replaced.
Treat = Callable[[str | None, str], tuple[str, tuple[Edit, ...]]]


class Form(NamedTuple):
    """How a package's texts are put together.

    Attributes:
        fields: in the order joined.
        separator: between them.
        extent: how many characters the model reads of a text, from the first on.
        treat: de-identifies a field as the training texts were; None where they were not.
        is_slow: whether reading takes milliseconds, so that the event loop must not do it.
    """

    fields: tuple[str, ...]
    separator: str
    extent: Callable[[str], int] = len
    treat: Treat | None = None
    is_slow: bool = False


def form_of(package: Package) -> Form:
    """The form that the package's training texts had."""
    saved: Mapping[str, Any] = runs.read_json(package.folder / layout.SOURCE)["columns_of"]
    treat = _treat_as(package.deid(), package.facts["language"])
    normalizes = package.reader is not None and package.reader.normalizer is not None
    return Form(
        tuple(saved["columns"]["text"]),
        saved["separator"],
        package.extent,
        treat,
        is_slow=normalizes or treat is not None,
    )


def _treat_as(settings: Deid, language: str) -> Treat | None:
    if not settings.enabled:
        return None
    # Late: the detectors take a second to load, and few packages need them.
    from emrobust.deid.operator import Subject  # noqa: PLC0415
    from emrobust.package.treatment import open_treatment  # noqa: PLC0415

    worker = open_treatment(settings, language).worker
    nobody = Subject("", worker.task.key, None, None, None)

    def treat(name: str | None, text: str) -> tuple[str, tuple[Edit, ...]]:
        if name is not None and settings.columns and name not in settings.columns:
            return text, ()
        treated = worker.treatment.treat(text, {}, nobody)
        edits = [
            Edit(done.span.start, done.span.end, done.start, done.end) for done in treated.decisions
        ]
        return treated.text, tuple(edits)

    return treat


def read(given: str | Mapping[str, str], form: Form, *, language: str, longest: int) -> Reading:
    """Read a text, or fields as the project's table has them.

    Args:
        given: a text, or texts by field.
        form: of the package.
        language: of the package, ``zh`` or ``en``.
        longest: characters that a text may have.

    Raises:
        RefusedError: it is empty, too long, holds control characters or no letter, or has a field
            that the package does not know (422).
    """
    if isinstance(given, str):
        fields: Mapping[str | None, str] = {None: given}
    else:
        _refuse_unknown(given, form)
        fields = {name: given[name] for name in form.fields if name in given}
    _check(form.separator.join(fields.values()), longest)
    text, pieces = _join(fields, form)
    blank = any(not whole.strip() for whole in fields.values())
    extent = form.extent(text)
    warnings = [
        code
        for code, is_so in (
            ("too_short", sum(map(str.isalpha, text)) < FEWEST_LETTERS),
            ("too_long", extent < len(text)),
            ("other_language", is_foreign(text, language)),
            ("empty_field", blank),
        )
        if is_so
    ]
    return Reading(text, pieces, tuple(warnings), extent)


def _refuse_unknown(given: Mapping[str, str], form: Form) -> None:
    if set(given) - set(form.fields):
        raise RefusedError(
            422,
            "unknown_field",
            "a field is none of the model's",
            f"Known: {', '.join(form.fields)}.",
        )


def _join(given: Mapping[str | None, str], form: Form) -> tuple[str, tuple[Piece, ...]]:
    """As in training: each field treated, trimmed (`records.join_text`), blank ones left out.

    A text that came whole is not trimmed.
    """
    pieces: list[Piece] = []
    parts: list[str] = []
    place = 0
    for name, whole in given.items():
        treated, edits = (whole, ()) if form.treat is None else form.treat(name, whole)
        part = treated if name is None else treated.strip()
        if part:
            place += len(form.separator) if parts else 0
            trimmed = 0 if name is None else len(treated) - len(treated.lstrip())
            pieces.append(Piece(name, place, place + len(part), trimmed, edits))
            parts.append(part)
            place += len(part)
    return form.separator.join(parts), tuple(pieces)


def _check(text: str, longest: int) -> None:
    check_characters(text, longest)
    if not any(map(str.isalpha, text)):
        raise RefusedError(422, "no_text", "the text has no letter", "Send the visit's note.")


def check_characters(text: str, longest: int) -> None:
    """Refuse what is no text.

    Raises:
        RefusedError: it is too long, or holds control characters (422).
    """
    if len(text) > longest:
        raise RefusedError(
            422,
            "text_too_long",
            f"the text has {len(text)} characters; {longest} are allowed",
            "Send the visit's own note, not the whole file.",
        )
    if (found := _UNFIT.search(text)) is not None:
        raise RefusedError(
            422,
            "control_character",
            f"character {found.start()} of the text is no character of a note",
            "Send plain text in UTF-8; was a file sent instead of its text?",
        )

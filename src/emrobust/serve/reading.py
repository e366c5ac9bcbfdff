"""What a request holds → the text that the model reads, and what is odd about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from emrobust import runs
from emrobust.package import Package, layout
from emrobust.serve.problem import RefusedError

# Line ends and tabs are the only control characters that a note has; halves of a surrogate pair
# are no characters.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_FEWEST_LETTERS = 4
# Chinese notes hold Latin abbreviations; English ones hold hardly an ideograph.
_LEAST_HAN, _MOST_HAN = 0.2, 0.2


class Piece(NamedTuple):
    """Where a field stands in the joined text.

    Attributes:
        field: its name; None for a text that came whole.
        start: in the joined text.
        end: behind it.
        trimmed: blank characters at the field's own start that were left out.
    """

    field: str | None
    start: int
    end: int
    trimmed: int


class Place(NamedTuple):
    """A range of characters as the caller sent them."""

    start: int
    end: int
    field: str | None


class Reading(NamedTuple):
    """A text as a model reads it.

    Attributes:
        text: joined as in training.
        pieces: where its fields stand.
        warnings: codes.
    """

    text: str
    pieces: tuple[Piece, ...]
    warnings: tuple[str, ...]

    def places(self, start: int, end: int) -> list[Place]:
        """A range of the text as ranges of what was sent; one that spans fields becomes several."""
        found = []
        for piece in self.pieces:
            first, last = max(start, piece.start), min(end, piece.end)
            if first < last:
                shift = piece.trimmed - piece.start
                found.append(Place(first + shift, last + shift, piece.field))
        return found


class Form(NamedTuple):
    """How a package's texts are put together.

    Attributes:
        fields: in the order joined.
        separator: between them.
    """

    fields: tuple[str, ...]
    separator: str


def form_of(package: Package) -> Form:
    """The form that the package's training texts had."""
    saved: Mapping[str, Any] = runs.read_json(package.folder / layout.SOURCE)["columns_of"]
    return Form(tuple(saved["columns"]["text"]), saved["separator"])


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
    blank = False
    text: str
    pieces: tuple[Piece, ...]
    if isinstance(given, str):
        text, pieces = given, (Piece(None, 0, len(given), 0),)
    else:
        text, pieces = _join(given, form)
        blank = len(pieces) < len(given)
    _check(text, longest)
    warnings = [
        code
        for code, is_so in (
            ("too_short", sum(map(str.isalpha, text)) < _FEWEST_LETTERS),
            ("other_language", _is_foreign(text, language)),
            ("empty_field", blank),
        )
        if is_so
    ]
    return Reading(text, pieces, tuple(warnings))


def _join(given: Mapping[str, str], form: Form) -> tuple[str, tuple[Piece, ...]]:
    """As `records.join_text`: trimmed fields in their order, without blank ones."""
    if set(given) - set(form.fields):
        raise RefusedError(
            422, "unknown_field", "a field is none of the model's", f"{_known(form.fields)}"
        )
    pieces: list[Piece] = []
    parts: list[str] = []
    place = 0
    for name in form.fields:
        whole = given.get(name, "")
        if part := whole.strip():
            place += len(form.separator) if parts else 0
            trimmed = len(whole) - len(whole.lstrip())
            pieces.append(Piece(name, place, place + len(part), trimmed))
            parts.append(part)
            place += len(part)
    return form.separator.join(parts), tuple(pieces)


def _known(fields: Sequence[str]) -> str:
    return f"Known are: {', '.join(fields)}."


def _check(text: str, longest: int) -> None:
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
    if not any(map(str.isalpha, text)):
        raise RefusedError(422, "no_text", "the text has no letter", "Send the visit's note.")


def _is_foreign(text: str, language: str) -> bool:
    letters = sum(map(str.isalpha, text))
    share = len(_HAN.findall(text)) / max(letters, 1)
    return share < _LEAST_HAN if language == "zh" else share > _MOST_HAN

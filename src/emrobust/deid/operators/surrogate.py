"""Surrogate: another value of the same kind and form, always the same within a patient.

A value's surrogate follows from (key, patient, kind, normalised value) by HMAC-SHA-256, so it
cannot be undone or tested without the key, and two patients' 张伟 get different names. Surname
and given name are replaced apart, so that 张先生 agrees with 张伟. Limits: two names of one patient
may meet in one surrogate (about 1 pair in 100 for surnames alone, 1 in 10,000 for whole names).
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import tomllib
import unicodedata
from collections.abc import Callable
from importlib import resources
from typing import Any, ClassVar, final

from emrobust.deid import forms
from emrobust.deid.operator import NAMES, Operator, Subject, normalise
from emrobust.deid.operators.date_shift import days_of
from emrobust.registry import register

_TITLE = re.compile(r"[A-Za-z]")
_LATIN_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_ID_BIRTH = re.compile(r"(\d{4})(\d{2})(\d{2})")
_TRIES = 16


@functools.lru_cache(maxsize=1)
def _parts() -> dict[str, Any]:
    file = resources.files("emrobust.deid") / "tables" / "surrogate.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


class _Stream:
    """Numbers that follow from the key and a name; each call gives the next."""

    def __init__(self, subject: Subject, *names: str) -> None:
        self._key = subject.secret()
        self._names = ("surrogate", subject.patient, *names)
        self._calls = 0
        self._left = 0

    def __call__(self, below: int) -> int:
        # 128 bits serve many draws: what remains is at least 2^64, so the bias is below 2^-50.
        if self._left < 1 << 64:
            self._left = self._key.number(*self._names, str(self._calls))
            self._calls += 1
        self._left, drawn = divmod(self._left, below)
        return drawn

    def pick(self, of: Any) -> str:
        """One of a table's entries or a string's characters."""
        return str(of[self(len(of))])


@register("operator")
@final
class Surrogate(Operator):
    """Names, numbers, addresses and institutions of the same kind and form.

    Dates, ages, beds and departments have better operators and are left to the placeholder.

    Args:
        days: the shift of birth dates inside identity cards; that of `date_shift`.
    """

    keyed: ClassVar[bool] = True

    def __init__(self, *, days: int = 180) -> None:
        self.days = max(1, days)

    def replace(self, value: str, kind: str, subject: Subject) -> str | None:
        """Another value; None for kinds without surrogates."""
        if kind in NAMES:
            return _name(value, subject)
        if kind == "id_card":
            return _id_card(value, subject, self.days)
        make = _MAKERS.get(kind)
        if make is None:
            return None
        plain = normalise(value, kind)
        for attempt in range(_TRIES):
            made = make(value, _Stream(subject, kind, plain, str(attempt)))
            if normalise(made, kind) != plain:
                return made
        return None


def _name(value: str, subject: Subject) -> str:
    letters = "".join(c for c in unicodedata.normalize("NFKC", value) if not c.isspace())
    if _TITLE.search(letters):
        return _english_name(value, subject)
    if "·" in value or "•" in value or "．" in value:
        return _minority_name(value, subject)
    parts = _parts()
    double = letters[:2] in parts["double_surnames"] and len(letters) != 3
    size = 2 if double else 1
    table = parts["double_surnames"] if double else parts["surnames"]
    surname = _other(letters[:size], table, _stream_of(subject, "surname", letters[:size]))
    given = letters[size:]
    draw = _stream_of(subject, "given", letters)
    for _ in range(_TRIES):
        made = "".join(draw.pick(parts["given"]) for _ in given)
        if made != given or not given:
            break
    return _spread(surname + made, value)


def _stream_of(subject: Subject, part: str, value: str) -> _Stream:
    return _Stream(subject, "name", part, normalise(value, "person_name"))


def _other(value: str, table: Any, draw: _Stream) -> str:
    """An entry that is not the value."""
    made = draw.pick(table)
    while made == value:
        made = draw.pick(table)
    return made


def _spread(made: str, value: str) -> str:
    """The made characters with the blanks of the value between them."""
    letters = iter(made)
    return "".join(c if c.isspace() else next(letters, "") for c in value)


def _minority_name(value: str, subject: Subject) -> str:
    parts = _parts()
    first, mark, second = re.split(r"([·•．])", value, maxsplit=1)
    return (
        _other(first, parts["minority_first"], _stream_of(subject, "first", first))
        + mark
        + _other(second, parts["minority_second"], _stream_of(subject, "second", second))
    )


def _english_name(value: str, subject: Subject) -> str:
    """Each word another: the last one (before a comma) a surname, the others given names.

    So James Jones and Jones, James have the same surrogates. Initials become initials.
    """
    parts = _parts()
    words = _LATIN_WORD.findall(value)
    surname = len(_LATIN_WORD.findall(value.partition(",")[0])) - 1
    made = value
    for place, word in reversed(list(enumerate(words))):
        draw = _stream_of(subject, "english", word)
        if len(word) == 1:
            other = chr(ord("A") + draw(26))
        else:
            table = parts["english_last" if place == surname else "english_first"]
            other = _other(word.title(), table, draw)
            other = other.upper() if word.isupper() else other
        at = made.rfind(word)
        made = made[:at] + other + made[at + len(word) :]
    return made


def _id_card(value: str, subject: Subject, days: int) -> str | None:
    """Region of nobody, birth date moved like all dates, sex as it was, a valid check."""
    plain = unicodedata.normalize("NFKC", value)
    letters = [c for c in plain if not c.isspace() and c not in "-—–"]
    digits = forms.digits_of("".join(letters))
    with_x = letters[-1:] and letters[-1] in "xX×"
    count = len(digits) + bool(with_x)
    if count not in (15, 18) or len(letters) != count:
        return None
    draw = _Stream(subject, "id_card", digits)
    region = _parts()["id_region"] + f"{draw(10_000):04d}"
    born = digits[6:14] if count == 18 else "19" + digits[6:12]
    moved = _move_birth(born, days_of(subject, days))
    serial = draw(500) * 2 + int(digits[16 if count == 18 else 14]) % 2
    body = f"{region}{moved if count == 18 else moved[2:]}{serial:03d}"
    body += forms.id_check(body) if count == 18 else ""
    return _put(value, body)


def _put(value: str, body: str) -> str:
    """The characters of an identity card in the writing of another."""
    source = iter(body)
    out = []
    for character in value:
        if forms.is_digit(character):
            out.append(forms.put_digits(character, [next(source)]))
        elif character in "xX×Ｘｘ":
            made = next(source)
            out.append(made if character.isascii() or character == "×" else chr(ord(made) + 0xFEE0))
        else:
            out.append(character)
    return "".join(out)


def _move_birth(born: str, days: int) -> str:
    found = _ID_BIRTH.fullmatch(born)
    if found is None:
        return born
    try:
        day = dt.date(*(int(part) for part in found.groups())) + dt.timedelta(days=days)
    except (ValueError, OverflowError):
        return "19000101"
    return f"{day:%Y%m%d}"


def _phone(value: str, draw: _Stream) -> str:
    digits = forms.digits_of(value)
    local = digits[-11:]
    if len(digits) >= 11 and local[0] == "1":
        made = digits[:-11] + draw.pick(_parts()["mobile_prefixes"])
        made += "".join(str(draw(10)) for _ in range(8))
    else:
        # No subscriber's number begins with 0 or 1.
        own = 8 if len(digits) in (8, 11, 12) else 7
        rest = max(len(digits) - own, 0)
        area = "".join("0" if place == 0 else str(draw(10)) for place in range(rest))
        made = area + "0" + "".join(str(draw(10)) for _ in range(len(digits) - rest - 1))
    return forms.put_digits(value, made)


def _bank_card(value: str, draw: _Stream) -> str:
    digits = forms.digits_of(value)
    if len(digits) < 4:
        return forms.scramble(value, draw)
    body = _parts()["bank_prefix"] + "".join(str(draw(10)) for _ in range(len(digits) - 3))
    return forms.put_digits(value, body + forms.luhn_check(body))


def _email(value: str, draw: _Stream) -> str:  # noqa: ARG001 (the makers' signature)
    return f"{_word(draw)}@{_parts()['domain']}"


def _url(value: str, draw: _Stream) -> str:
    if re.fullmatch(r"[\d.:：．０-９]+", value):  # an address of RFC 5737, for documents
        return f"192.0.2.{draw(256)}"
    return f"https://{_parts()['domain']}/{_word(draw)}"


def _word(draw: _Stream) -> str:
    return "".join(chr(ord("a") + draw(26)) for _ in range(8))


def _plate(value: str, draw: _Stream) -> str:
    return draw.pick(_parts()["provinces"]) + forms.scramble(value[1:], draw)


def _place(draw: _Stream) -> str:
    parts = _parts()
    return draw.pick(parts["place_first"]) + draw.pick(parts["place_second"])


def _address(value: str, draw: _Stream) -> str:
    """A town, a district and a street; Latin letters get a street and a number."""
    parts = _parts()
    if _TITLE.search(value):
        return f"{1 + draw(999)} {draw.pick(parts['english_last'])} Street"
    street = f"{_place(draw)}{draw.pick(parts['roads'])}{1 + draw(400)}号"
    if "市" not in value and "区" not in value and "县" not in value:
        return street
    return f"{_place(draw)}市{_place(draw)}{draw.pick(parts['districts'])}{street}"


def _ending(value: str, kind: str) -> str:
    endings: list[str] = _parts()["endings"][kind]
    return next((end for end in endings if value.casefold().endswith(end.casefold())), "")


def _hospital(value: str, draw: _Stream) -> str:
    parts = _parts()
    if _TITLE.search(value):
        return f"{draw.pick(parts['english_last'])} {_ending(value, 'hospital') or 'Hospital'}"
    ending = _ending(value, "hospital") or draw.pick(parts["hospitals"])
    return f"{_place(draw)}市{ending}"


def _employer(value: str, draw: _Stream) -> str:
    parts = _parts()
    if _TITLE.search(value):
        return f"{draw.pick(parts['english_last'])} Company"
    words = draw.pick(parts["employer_words"]) + draw.pick(parts["employer_words"])
    return f"{_place(draw)}{words}{_ending(value, 'employer') or draw.pick(parts['employers'])}"


_MAKERS: dict[str, Callable[[str, _Stream], str]] = {
    "phone": _phone,
    "bank_card": _bank_card,
    "email": _email,
    "url": _url,
    "ip": _url,
    "permit": forms.scramble,
    "exam_no": forms.scramble,
    "plate": _plate,
    "address": _address,
    "hospital": _hospital,
    "employer": _employer,
    "account": forms.scramble,
    "social_security": forms.scramble,
    "passport": forms.scramble,
    "visit_no": forms.scramble,
}

"""Made-up people: names, identity cards, phones, addresses, employers, hospitals.

All are put together from the parts in ``identity.toml``; none is a real person's, though the
identity cards have real region codes and valid checksums.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from emrobust.clinic.style import read_toml, validate
from emrobust.clinic.tables import FOLDER

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_WIDE = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")

Draw = Callable[[], float]


class Parts(BaseModel):
    """The parts that people and places are put together from."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    surnames: str
    double_surnames: tuple[str, ...]
    male: str
    female: str
    either: str
    minority_first: tuple[str, ...]
    minority_second: tuple[str, ...]
    regions: tuple[str, ...]
    phone_prefixes: tuple[str, ...]
    area_codes: tuple[str, ...]
    place_first: str
    place_second: str
    place_kinds: tuple[str, ...]
    district_kinds: tuple[str, ...]
    street_kinds: tuple[str, ...]
    estate_kinds: tuple[str, ...]
    hospital_kinds: tuple[str, ...]
    employer_words: str
    employer_kinds: tuple[str, ...]
    school_kinds: tuple[str, ...]


class Person(NamedTuple):
    """A patient as the hospital's database knows one."""

    name: str
    id_card: str
    phone: str
    address: str
    employer: str
    social_security: str


@functools.lru_cache(maxsize=1)
def load_parts() -> Parts:
    """The shipped parts."""
    return validate(Parts, read_toml(FOLDER / "identity.toml"), "identity.toml")


def id_check(body: str) -> str:
    """The check character of the first 17 digits of an identity card (GB 11643-1999)."""
    total = sum(w * int(d) for w, d in zip(_WEIGHTS, body, strict=True))
    return _CHECKS[total % 11]


def pick(draw: Draw, of: str | tuple[str, ...]) -> str:
    """One element, all equally likely."""
    return of[int(draw() * len(of))]


def make_digits(draw: Draw, count: int) -> str:
    """So many random digits."""
    return f"{int(draw() * 10**count):0{count}d}"


def make_name(draw: Draw, parts: Parts, sex: int, surname: str = "") -> str:
    """A name; one in 200 is a minority's with a dot, one in 80 has a double surname."""
    kind = draw()
    if kind < 0.005 and not surname:
        return f"{pick(draw, parts.minority_first)}·{pick(draw, parts.minority_second)}"
    if not surname:
        # Earlier surnames of the list are the commoner ones.
        last = int(draw() ** 2.2 * len(parts.surnames))
        surname = pick(draw, parts.double_surnames) if kind < 0.018 else parts.surnames[last]
    own = parts.female if sex else parts.male
    given = pick(draw, own)
    if draw() < 0.82:
        given = pick(draw, parts.either) + given if draw() < 0.6 else given + pick(draw, own)
    return surname + given


def make_id_card(draw: Draw, parts: Parts, born: str, sex: int) -> str:
    """An 18-digit identity card; ``born`` is YYYYMMDD, odd serial numbers are men's."""
    serial = int(draw() * 500) * 2 + (0 if sex else 1)
    body = f"{pick(draw, parts.regions)}{born}{serial:03d}"
    return body + id_check(body)


def make_phone(draw: Draw, parts: Parts) -> str:
    """A mobile number."""
    return pick(draw, parts.phone_prefixes) + make_digits(draw, 8)


def make_landline(draw: Draw, parts: Parts) -> str:
    """A landline number with its area code."""
    return f"{pick(draw, parts.area_codes)}-{2 + int(draw() * 7)}{make_digits(draw, 7)}"


def _place(draw: Draw, parts: Parts) -> str:
    return pick(draw, parts.place_first) + pick(draw, parts.place_second)


def make_city(draw: Draw, parts: Parts) -> str:
    """A town's name."""
    return _place(draw, parts) + pick(draw, parts.place_kinds)


def make_address(draw: Draw, parts: Parts) -> str:
    """An address down to the room, of one of three shapes."""
    shape = draw()
    city = make_city(draw, parts)
    district = _place(draw, parts) + pick(draw, parts.district_kinds)
    if shape < 0.15:
        village, house = _place(draw, parts), 1 + int(draw() * 90)
        return f"{city}{district}{village}村{1 + int(draw() * 18)}组{house}号"
    street = _place(draw, parts) + pick(draw, parts.street_kinds)
    house = 1 + int(draw() * 380)
    if shape < 0.5:
        return f"{city}{district}{street}{house}号"
    estate = _place(draw, parts) + pick(draw, parts.estate_kinds)
    room = f"{1 + int(draw() * 28)}0{1 + int(draw() * 4)}"
    return f"{city}{district}{street}{house}号{estate}{1 + int(draw() * 40)}栋{room}室"


def make_hospital(draw: Draw, parts: Parts) -> str:
    """Another hospital's name."""
    return make_city(draw, parts) + pick(draw, parts.hospital_kinds)


def make_employer(draw: Draw, parts: Parts, age: int) -> str:
    """Where a person of this age works or goes to school."""
    if age < 18:
        return _place(draw, parts) + pick(draw, parts.school_kinds)
    brand = pick(draw, parts.employer_words) + pick(draw, parts.employer_words)
    town = make_city(draw, parts) if draw() < 0.7 else ""
    return town + brand + pick(draw, parts.employer_kinds)


def make_social_security(draw: Draw) -> str:
    """A social-security card number: a letter and eight digits, or nine digits."""
    if draw() < 0.5:
        return "ABCDEFGHJKLMNPRTUVWXY"[int(draw() * 21)] + make_digits(draw, 8)
    return make_digits(draw, 9)


def make_person(draw: Draw, parts: Parts, born: str, sex: int, age: int) -> Person:
    """A patient."""
    return Person(
        name=make_name(draw, parts, sex),
        id_card=make_id_card(draw, parts, born, sex),
        phone=make_phone(draw, parts),
        address=make_address(draw, parts),
        employer=make_employer(draw, parts, age),
        social_security=make_social_security(draw),
    )


def garble(draw: Draw, number: str) -> str:
    """A number as it is sometimes typed: full width, or with spaces inside."""
    if draw() < 0.5:
        return number.translate(_WIDE)
    cuts = (3, 7) if len(number) == 11 else (6, 14)
    return " ".join((number[: cuts[0]], number[cuts[0] : cuts[1]], number[cuts[1] :])).strip()

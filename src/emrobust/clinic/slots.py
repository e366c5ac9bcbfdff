"""The leaves of the templates: ``{age}``, ``{phone}``, ``{drug}`` … one function each.

The function's name is the slot's; what it writes never depends on the diagnoses.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Callable

from emrobust.clinic import identity
from emrobust.clinic.identity import pick
from emrobust.clinic.pen import Pen
from emrobust.clinic.tables import AGE_EDGES

_GARBLED = 0.08  # identity numbers typed in full width or with spaces

Slot = Callable[[Pen], None]
LEAVES: dict[str, Slot] = {}


def leaf(write: Slot) -> Slot:
    """Make a function the slot of its name (a trailing underscore avoids a keyword)."""
    LEAVES[write.__name__.rstrip("_")] = write
    return write


@leaf
def for_(pen: Pen) -> None:
    """How long it has lasted."""
    pen.last()


@leaf
def short(pen: Pen) -> None:
    """How long it has been worse: less than it has lasted."""
    hours, days = pen.course.name == "hours", pen.course.name.startswith("days")
    most = max(1, pen.amount // 2) if hours or days else 6
    amount, unit = 1 + int(pen.draw() * most), "小时" if hours else "天"
    pen.page.mark(f"{amount}{unit}", "duration", f"worse:{amount}{unit}")


@leaf
def date(pen: Pen) -> None:
    """A day of the last two months."""
    day = pen.visit.date - dt.timedelta(days=2 + int(pen.draw() * 60))
    shapes = (
        f"{day.year}年{day.month}月{day.day}日",
        f"{day:%Y-%m-%d}",
        f"{day.year}.{day.month}.{day.day}",
        f"{day.month}月{day.day}日",
        f"{day:%Y/%m/%d}",
    )
    pen.page.mark(pick(pen.draw, shapes), "date", day.isoformat())


@leaf
def year(pen: Pen) -> None:
    """A year of the patient's life."""
    visit = pen.visit
    ago = 1 + int(pen.draw() * min(25, max(0, visit.age - 1)))
    past = str(visit.date.year - ago)
    pen.page.mark(f"{past}年", "date", past)


@leaf
def age(pen: Pen) -> None:
    """Age in years."""
    years = pen.visit.age
    pen.page.mark(f"{years}岁" if years else "不满1岁", "age", str(years))


@leaf
def sex(pen: Pen) -> None:
    """男 or 女."""
    pen.page.add("女" if pen.visit.sex else "男")


@leaf
def patient_name(pen: Pen) -> None:
    """The patient's name."""
    pen.page.mark(pen.visit.person.name, "patient_name", pen.visit.person.name)


@leaf
def relation(pen: Pen) -> None:
    """A relative who fits the patient's age."""
    years, lexicon = pen.visit.age, pen.lexicon
    if years < 14:
        relatives = lexicon.relatives_child
    else:
        relatives = lexicon.relatives_old if years > 60 else lexicon.relatives_adult
    pen.page.add(pick(pen.draw, relatives))


@leaf
def relative_name(pen: Pen) -> None:
    """A relative's name, often with the patient's surname."""
    own = pen.visit.person.name
    surname = own[0] if pen.draw() < 0.5 and "·" not in own and len(own) < 4 else ""
    name = identity.make_name(pen.draw, pen.parts, int(pen.draw() * 2), surname)
    pen.page.mark(name, "relative_name", name)


@leaf
def doctor_name(pen: Pen) -> None:
    """The doctor's name."""
    pen.page.mark(pen.visit.doctor, "doctor_name", pen.visit.doctor)


def _number(pen: Pen, number: str, kind: str) -> None:
    """The number as it is, or garbled; the span's value is the clean one."""
    garbled = pen.draw() < _GARBLED
    pen.page.mark(identity.garble(pen.draw, number) if garbled else number, kind, number)


@leaf
def id_card(pen: Pen) -> None:
    """The patient's identity card."""
    _number(pen, pen.visit.person.id_card, "id_card")


@leaf
def phone(pen: Pen) -> None:
    """The patient's mobile, a relative's or a landline."""
    kind = pen.draw()
    if kind < 0.6:
        _number(pen, pen.visit.person.phone, "phone")
    elif kind < 0.9:
        _number(pen, identity.make_phone(pen.draw, pen.parts), "phone")
    else:
        number = identity.make_landline(pen.draw, pen.parts)
        pen.page.mark(number, "phone", number)


@leaf
def address(pen: Pen) -> None:
    """Where the patient lives."""
    pen.page.mark(pen.visit.person.address, "address", pen.visit.person.address)


@leaf
def employer(pen: Pen) -> None:
    """Where the patient works or learns."""
    pen.page.mark(pen.visit.person.employer, "employer", pen.visit.person.employer)


@leaf
def social_security(pen: Pen) -> None:
    """The social-security number."""
    number = pen.visit.person.social_security
    pen.page.mark(number, "social_security", number)


@leaf
def bed_no(pen: Pen) -> None:
    """A bed of the ward, some beds being extra ones."""
    extra = "+" if pen.draw() < 0.12 else ""
    text = f"{extra}{1 + int(pen.draw() * 68)}床"
    pen.page.mark(text, "bed_no", text)


@leaf
def visit_no(pen: Pen) -> None:
    """The number of this visit."""
    pen.page.mark(pen.visit.number, "visit_no", pen.visit.number)


@leaf
def inpatient_no(pen: Pen) -> None:
    """The number of an earlier stay."""
    text = pick(pen.draw, ("ZY", "", "B")) + identity.make_digits(pen.draw, 8)
    pen.page.mark(text, "visit_no", text)


@leaf
def hospital(pen: Pen) -> None:
    """Another hospital."""
    name = identity.make_hospital(pen.draw, pen.parts)
    pen.page.mark(name, "hospital", name)


@leaf
def own_hospital(pen: Pen) -> None:
    """This hospital."""
    pen.page.mark(pen.site.hospital, "hospital", pen.site.hospital)


@leaf
def drug(pen: Pen) -> None:
    """A drug taken on one's own."""
    name = pick(pen.draw, pen.lexicon.drugs)
    pen.page.mark(name, "drug", name)


@leaf
def dose(pen: Pen) -> None:
    """A dose."""
    text = pick(pen.draw, pen.lexicon.doses)
    pen.page.mark(text, "dose", text)


@leaf
def operation(pen: Pen) -> None:
    """A past operation."""
    name = pick(pen.draw, pen.lexicon.surgeries)
    pen.page.mark(name, "past", name)


@leaf
def family_disease(pen: Pen) -> None:
    """A disease in the family."""
    name = pick(pen.draw, pen.lexicon.family_diseases)
    pen.page.mark(name, "disease_family", name)


@leaf
def doubt(pen: Pen) -> None:
    """A diagnosis somebody thought of."""
    name = pick(pen.draw, pen.lexicon.doubts)
    pen.page.mark(name, "disease_uncertain", name)


def _other(pen: Pen, kind: str) -> None:
    """A symptom that the note says nothing else of."""
    visit, draw = pen.visit, pen.draw
    band = bisect.bisect_right(AGE_EDGES, visit.age)
    symptoms = pen.library.symptoms[visit.sex][band]
    finding = symptoms[int(draw() * len(symptoms))]
    while finding in visit.present or finding in visit.denied:
        finding = symptoms[int(draw() * len(symptoms))]
    pen.mention(finding, kind)


@leaf
def relative_finding(pen: Pen) -> None:
    """A symptom that somebody else has."""
    _other(pen, "finding_family")


@leaf
def past_finding(pen: Pen) -> None:
    """A symptom that is over."""
    _other(pen, "finding_past")


@leaf
def unsure_finding(pen: Pen) -> None:
    """A symptom that may be none."""
    _other(pen, "finding_uncertain")

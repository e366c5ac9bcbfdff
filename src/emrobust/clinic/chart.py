"""One block of the hospital as rows: patients, visits with their notes, codes and truth."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from emrobust import rng
from emrobust.clinic import identity, tables
from emrobust.clinic.ceiling import RATES_KEY
from emrobust.clinic.model import YEARS, Clinic
from emrobust.clinic.notes import Scribe
from emrobust.clinic.page import Mention
from emrobust.clinic.pen import Visit
from emrobust.clinic.visits import BLOCK, Block, draw_block

_DOCTORS = 40
_ELSEWHERE = 0.12  # visits registered at another department than the diagnosis's own
_NAMES = pa.list_(pa.string())
_SPAN = pa.struct(
    [
        pa.field("field", pa.string()),
        pa.field("start", pa.int32()),
        pa.field("end", pa.int32()),
        pa.field("kind", pa.string()),
        pa.field("value", pa.string()),
    ]
)
TRUTH = pa.schema(
    [
        pa.field("record_id", pa.string()),
        pa.field("patient_id", pa.string()),
        pa.field("site", pa.string()),
        pa.field("year", pa.int16()),
        pa.field("month", pa.int8()),
        pa.field("sex", pa.string()),
        pa.field("age", pa.int16()),
        pa.field("duration", pa.string()),
        pa.field("true", _NAMES),
        pa.field("observed", _NAMES),
        pa.field("present", _NAMES),
        pa.field("denied", _NAMES),
        pa.field("spans", pa.list_(_SPAN)),
    ]
)

Row = tuple[object, ...]


class Pages(NamedTuple):
    """A block ready to be written.

    Attributes:
        patients: rows of the table ``patients``.
        visits: rows of ``visits``; notes: of ``notes``; diagnoses: of ``diagnoses``.
        outpatient: one row a visit with everything, in the order of the view ``outpatient``.
        truth: rows of ``truth.parquet``.
    """

    patients: list[Row]
    visits: list[Row]
    notes: list[Row]
    diagnoses: list[Row]
    outpatient: list[Row]
    truth: pa.RecordBatch


def write_block(clinic: Clinic, seed: int, number: int, rows: int = BLOCK) -> Pages:
    """The first ``rows`` visits of block ``number``: a pure function of its arguments."""
    block = draw_block(clinic, seed, number)
    people = _people(block, seed)
    visits = _visits(clinic, seed, block, people)[:rows]
    scribe = Scribe(clinic, rng.generator(seed, "clinic", "notes", number))
    written = [scribe.write(visit) for visit in visits]
    codes = _pick_codes(clinic, block, rng.generator(seed, "clinic", "codes", number))
    reception = _reception(clinic, seed, block)[:rows]
    joined = [";".join(code for code, _ in of_visit) for of_visit in codes[:rows]]
    outpatient: list[Row] = [
        (*desk, ("男", "女")[visit.sex], visit.age, *text, icd10)
        for desk, visit, (text, _), icd10 in zip(reception, visits, written, joined, strict=True)
    ]
    seen = sorted(set(block.patient[:rows].tolist()))
    return Pages(
        patients=[_patient_row(block, people, patient) for patient in seen],
        visits=[(*d, v.doctor, v.age) for d, v in zip(reception, visits, strict=True)],
        notes=[(v.number, *text) for v, (text, _) in zip(visits, written, strict=True)],
        diagnoses=[
            (visit.number, rank, code, title)
            for visit, of_visit in zip(visits, codes, strict=False)
            for rank, (code, title) in enumerate(of_visit, start=1)
        ],
        outpatient=outpatient,
        truth=_truth(clinic, block, outpatient, [mentions for _, mentions in written]),
    )


def _visit_numbers(block: Block) -> list[str]:
    first = block.number * BLOCK
    return [f"{time:%y%m%d}{first + row:08d}" for row, time in enumerate(block.time.tolist())]


def _patient_number(block: Block, patient: int) -> str:
    return f"P{block.number * BLOCK + patient:08d}"


def _reception(clinic: Clinic, seed: int, block: Block) -> list[Row]:
    """What the front desk knows: visit, patient, time, site and department."""
    doors = rng.generator(seed, "clinic", "doors", block.number)
    return [
        (
            number,
            _patient_number(block, patient),
            f"{time:%Y-%m-%d %H:%M}:00",
            clinic.style.sites[site].name,
            department,
        )
        for number, patient, time, site, department in zip(
            _visit_numbers(block),
            block.patient.tolist(),
            block.time.tolist(),
            block.site.tolist(),
            _departments(clinic, block, doors),
            strict=True,
        )
    ]


def _visits(
    clinic: Clinic, seed: int, block: Block, people: Sequence[identity.Person]
) -> list[Visit]:
    """What the scribe is told of each visit."""
    doctors = staff(seed, len(clinic.style.sites))
    shifts = rng.generator(seed, "clinic", "doctors", block.number)
    shift = shifts.integers(_DOCTORS, size=BLOCK).tolist()
    sex, patients = block.sex[block.patient].tolist(), block.patient.tolist()
    columns = zip(
        _visit_numbers(block),
        (time.date() for time in block.time.tolist()),
        block.site.tolist(),
        block.year.tolist(),
        sex,
        block.age.tolist(),
        _lists(block.present),
        _lists(block.denied),
        block.duration.tolist(),
        (people[patient] for patient in patients),
        (doctors[site][on] for site, on in zip(block.site.tolist(), shift, strict=True)),
        strict=True,
    )
    return list(itertools.starmap(Visit, columns))


def staff(seed: int, sites: int) -> list[list[str]]:
    """The doctors of each site."""
    parts = identity.load_parts()
    draw = rng.generator(seed, "clinic", "staff").random
    return [
        [identity.make_name(draw, parts, int(draw() * 2)) for _ in range(_DOCTORS)]
        for _ in range(sites)
    ]


def _people(block: Block, seed: int) -> list[identity.Person]:
    parts = identity.load_parts()
    numbers = rng.generator(seed, "clinic", "people", block.number).random(len(block.sex) * 64)
    draw = iter(numbers.tolist()).__next__
    first = dt.date(YEARS[0], 1, 1)
    return [
        identity.make_person(draw, parts, f"{born:%Y%m%d}", sex, (first - born).days // 365)
        for born, sex in zip(block.birth.tolist(), block.sex.tolist(), strict=True)
    ]


def _patient_row(block: Block, people: Sequence[identity.Person], patient: int) -> Row:
    person = people[patient]
    sex, born = ("男", "女")[int(block.sex[patient])], block.birth[patient].item().isoformat()
    return (_patient_number(block, patient), person.name, sex, born, *person[1:])


def _lists(states: np.ndarray) -> list[list[int]]:
    """The true columns of each row of a bool matrix."""
    rows, columns = np.nonzero(states)
    ends = np.cumsum(np.bincount(rows, minlength=len(states)))[:-1]
    return [part.tolist() for part in np.split(columns, ends)]


def _pick_codes(
    clinic: Clinic, block: Block, draw: np.random.Generator
) -> list[list[tuple[str, str]]]:
    """Codes of each visit, the primary's first; a site has its habits."""
    habits = [
        [_habit(codes, site.long_codes) for codes in clinic.medicine.codes]
        for site in clinic.style.sites
    ]
    uniform = draw.random(block.observed.shape).tolist()
    rows, columns = np.nonzero(block.observed >= 0)
    found: list[list[tuple[str, str]]] = [[] for _ in range(len(block.primary))]
    primary, site = block.primary.tolist(), block.site.tolist()
    observed = block.observed[rows, columns].tolist()
    for row, column, shown in zip(rows.tolist(), columns.tolist(), observed, strict=True):
        codes = clinic.medicine.codes[shown]
        mark, ends = uniform[row][column], habits[site[row]][shown]
        code, title, _ = codes[next(i for i, end in enumerate(ends) if mark < end)]
        if all(code != other for other, _ in found[row]):
            found[row].insert(0 if column == primary[row] else len(found[row]), (code, title))
    return found


def _habit(codes: Sequence[tuple[str, str, float]], long_codes: float) -> list[float]:
    weights = np.array([w * (long_codes if len(c) > 5 else 1.0) for c, _, w in codes])
    ends = np.cumsum(weights / weights.sum())
    return [*ends[:-1].tolist(), 1.0]


def _departments(clinic: Clinic, block: Block, draw: np.random.Generator) -> list[str]:
    own = [clinic.medicine.departments[k] for k in block.primary.tolist()]
    others = sorted(set(clinic.medicine.departments))
    stray = (draw.random(len(own)) < _ELSEWHERE).tolist()
    other = draw.integers(len(others), size=len(own)).tolist()
    return [others[o] if s else d for d, s, o in zip(own, stray, other, strict=True)]


def _truth(
    clinic: Clinic, block: Block, outpatient: Sequence[Row], mentions: Sequence[list[Mention]]
) -> pa.RecordBatch:
    rows = len(outpatient)
    classes = pa.array(clinic.medicine.classes)
    findings = pa.array([finding.name for finding in clinic.medicine.findings])
    observed = np.zeros(block.classes.shape, dtype=bool)
    visit, column = np.nonzero(block.observed >= 0)
    observed[visit, block.observed[visit, column]] = True
    durations = pa.array(tables.DURATIONS).take(pa.array(block.duration[:rows]))
    return pa.RecordBatch.from_arrays(
        [
            pa.array([row[0] for row in outpatient], pa.string()),
            pa.array([row[1] for row in outpatient], pa.string()),
            pa.array([row[3] for row in outpatient], pa.string()),
            pa.array((block.year[:rows] + YEARS[0]).astype(np.int16)),
            pa.array((block.month[:rows] + 1).astype(np.int8)),
            pa.array(tables.SEXES).take(pa.array(block.sex[block.patient[:rows]])),
            pa.array(block.age[:rows].astype(np.int16)),
            durations,
            _named(block.classes[:rows], classes),
            _named(observed[:rows], classes),
            _named(block.present[:rows], findings),
            _named(block.denied[:rows], findings),
            _spans(mentions),
        ],
        schema=truth_schema(clinic),
    )


def truth_schema(clinic: Clinic) -> pa.Schema:
    """The schema of ``truth.parquet``, with the clinic's rates in its metadata."""
    return TRUTH.with_metadata({RATES_KEY: clinic.rates.model_dump_json().encode()})


def _named(states: np.ndarray, names: pa.Array) -> pa.ListArray:
    """A bool matrix as lists of names."""
    rows, columns = np.nonzero(states)
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(states)))])
    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), names.take(pa.array(columns)))


def _spans(mentions: Sequence[list[Mention]]) -> pa.ListArray:
    ends = np.concatenate([[0], np.cumsum([len(of_row) for of_row in mentions])]).astype(np.int32)
    columns = zip(*itertools.chain.from_iterable(mentions), strict=True)
    types = [_SPAN.field(place).type for place in range(_SPAN.num_fields)]
    flat = [pa.array(column, of) for column, of in zip(columns, types, strict=True)]
    return pa.ListArray.from_arrays(
        pa.array(ends), pa.StructArray.from_arrays(flat, fields=list(_SPAN))
    )

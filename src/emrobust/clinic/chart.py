"""One block of the hospital as rows: patients, visits with their notes, codes and truth."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import chain
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
    scribe = Scribe(clinic, rng.generator(seed, "clinic", "notes", number))
    people = _people(block, seed)
    codes = _pick_codes(clinic, block, rng.generator(seed, "clinic", "codes", number))
    departments = _departments(clinic, block, rng.generator(seed, "clinic", "doors", number))
    doctors = staff(seed, len(clinic.style.sites))
    doctor = rng.generator(seed, "clinic", "doctors", number).integers(_DOCTORS, size=BLOCK)
    visits: list[Row] = []
    notes: list[Row] = []
    diagnoses: list[Row] = []
    outpatient: list[Row] = []
    mentions: list[list[Mention]] = []
    present, denied = _lists(block.present), _lists(block.denied)
    columns = zip(
        block.time.tolist(),
        block.patient.tolist(),
        block.site.tolist(),
        block.age.tolist(),
        block.year.tolist(),
        block.duration.tolist(),
        strict=True,
    )
    for row, (time, patient, site, age, year, duration) in enumerate(columns):
        if row == rows:
            break
        number_of_visit = f"{time:%y%m%d}{number * BLOCK + row:08d}"
        patient_no = f"P{number * BLOCK + patient:08d}"
        sex = int(block.sex[patient])
        name = doctors[site][doctor[row]]
        text, found = scribe.write(
            Visit(
                number=number_of_visit,
                date=time.date(),
                site=site,
                year=year,
                sex=sex,
                age=age,
                present=present[row],
                denied=denied[row],
                duration=duration,
                person=people[patient],
                doctor=name,
            )
        )
        mentions.append(found)
        when, place = f"{time:%Y-%m-%d %H:%M}:00", clinic.style.sites[site].name
        visits.append((number_of_visit, patient_no, when, place, departments[row], name, age))
        notes.append((number_of_visit, *text))
        for rank, (code, title) in enumerate(codes[row], start=1):
            diagnoses.append((number_of_visit, rank, code, title))
        joined = ";".join(code for code, _ in codes[row])
        outpatient.append((*visits[-1][:5], ("男", "女")[sex], age, *text, joined))
    seen = sorted({int(patient) for patient in block.patient[:rows]})
    return Pages(
        patients=[_patient_row(block, people, number, patient) for patient in seen],
        visits=visits,
        notes=notes,
        diagnoses=diagnoses,
        outpatient=outpatient,
        truth=_truth(clinic, block, outpatient, mentions),
    )


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


def _patient_row(block: Block, people: Sequence[identity.Person], number: int, patient: int) -> Row:
    person = people[patient]
    sex, born = ("男", "女")[int(block.sex[patient])], block.birth[patient].item().isoformat()
    return (f"P{number * BLOCK + patient:08d}", person.name, sex, born, *person[1:])


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
    columns = zip(*chain.from_iterable(mentions), strict=True)
    types = [_SPAN.field(place).type for place in range(_SPAN.num_fields)]
    flat = [pa.array(column, of) for column, of in zip(columns, types, strict=True)]
    return pa.ListArray.from_arrays(
        pa.array(ends), pa.StructArray.from_arrays(flat, fields=list(_SPAN))
    )

"""Who comes, when, with what: the patients and visits of one block, without words.

A block of 5,000 visits is a pure function of the seed and its number. Patients live in one
block. What a patient has once is likely to return, yet each single visit keeps exactly the
distribution of `model`: visits share their random numbers, not their outcomes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emrobust import rng
from emrobust.clinic.model import MOST_COMORBID, SEASON_OF_MONTH, YEARS, Clinic
from emrobust.clinic.tables import AGE_EDGES

BLOCK = 5_000
_VISITS = np.array([0.42, 0.23, 0.14, 0.10, 0.06, 0.05])  # patients with 1 … 6 visits in a block
_AGES = ((0, 6, 0.10), (6, 18, 0.09), (18, 40, 0.24), (40, 65, 0.33), (65, 92, 0.24))
_FEMALE = 0.53
_AT_HOME = 0.85  # visits at the patient's usual site
_FIRST_DAY = np.datetime64("2019-01-01")
_DAYS = 1461
_WEEKDAY = np.array([1.3, 1.1, 1.0, 1.0, 1.0, 0.7, 0.5])  # Monday is the busiest


@dataclass(frozen=True, eq=False)
class Block:
    """N visits of P patients as arrays.

    Attributes:
        number: of the block.
        sex, birth: [P] 1 for female, and the birth date.
        patient: [N] row in the block's patients.
        time: [N] datetime64[m]; rows are sorted by it.
        site, age, band, month, year: [N]; age in whole years, month 0–11, year from 2019.
        primary: [N] class.
        classes: [N, K] bool, primary and comorbid.
        observed: [N, K] class that each class was coded as, −1 where there is none.
        present, denied: [N, F] bool.
        duration: [N] one of `tables.DURATIONS`.
    """

    number: int
    sex: np.ndarray
    birth: np.ndarray
    patient: np.ndarray
    time: np.ndarray
    site: np.ndarray
    age: np.ndarray
    band: np.ndarray
    month: np.ndarray
    year: np.ndarray
    primary: np.ndarray
    classes: np.ndarray
    observed: np.ndarray
    present: np.ndarray
    denied: np.ndarray
    duration: np.ndarray


def draw_block(clinic: Clinic, seed: int, number: int) -> Block:
    """Draw block ``number`` of the clinic: the same for the same seed, anywhere."""
    draw = rng.generator(seed, "clinic", "visits", number)
    patient = _patients(draw)
    people = int(patient[-1]) + 1
    sex, birth = (draw.random(people) < _FEMALE).astype(np.int64), _births(draw, people)
    time = _times(draw, len(patient))
    order = np.argsort(time, kind="stable")
    patient, time = patient[order], time[order]
    site = _sites(draw, clinic, patient, people)
    age, month, year = _calendar(time, birth[patient])
    band = np.searchsorted(AGE_EDGES, age, side="right")
    covariates = (sex[patient], band, SEASON_OF_MONTH[month], site, year)
    primary = _primaries(draw, clinic, patient, people, clinic.prior[covariates])
    joining = clinic.kappa[primary] * clinic.fit[sex[patient], band]
    classes = _comorbid(draw, joining, patient, people)
    classes[np.arange(BLOCK), primary] = True
    fits = clinic.fits[sex[patient], band]
    present = draw.random(fits.shape) >= np.exp(_absent(clinic, classes, site) * fits)
    asked = draw.random(fits.shape) < np.exp(clinic.denied)[primary] * fits
    duration = _choose(draw, np.exp(clinic.course[primary]))
    return Block(
        number=number,
        sex=sex,
        birth=birth,
        patient=patient,
        time=time,
        site=site,
        age=age,
        band=band,
        month=month,
        year=year,
        primary=primary,
        classes=classes,
        observed=_code(draw, clinic, classes),
        present=present,
        denied=~present & asked,
        duration=duration,
    )


def _choose(draw: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    """One column for each row of weights [N, …]."""
    total = np.cumsum(weights, axis=1)
    passed = (draw.random((len(weights), 1)) * total[:, -1:] >= total).sum(axis=1)
    chosen: np.ndarray = np.minimum(passed, weights.shape[1] - 1)
    return chosen


def _patients(draw: np.random.Generator) -> np.ndarray:
    visits = 1 + _choose(draw, np.tile(_VISITS, (BLOCK, 1)))
    return np.repeat(np.arange(BLOCK), visits)[:BLOCK]


def _births(draw: np.random.Generator, people: int) -> np.ndarray:
    youngest, oldest, share = (np.array(column) for column in zip(*_AGES, strict=True))
    band = _choose(draw, np.tile(share, (people, 1)))
    days = draw.uniform(youngest[band] * 365.25, oldest[band] * 365.25)
    births: np.ndarray = _FIRST_DAY - 1 - days.astype("timedelta64[D]")
    return births


def _times(draw: np.random.Generator, visits: int) -> np.ndarray:
    """Outpatient hours: two humps, before and after noon."""
    days = np.arange(_DAYS)
    weight = _WEEKDAY[(days + 1) % 7]  # 2019-01-01 was a Tuesday
    day = np.searchsorted(np.cumsum(weight / weight.sum()), draw.random(visits))
    morning = draw.random(visits) < 0.62
    minute = np.where(
        morning, draw.triangular(470, 550, 725, visits), draw.triangular(800, 870, 1055, visits)
    )
    start: np.ndarray = _FIRST_DAY + np.minimum(day, _DAYS - 1).astype("timedelta64[D]")
    times: np.ndarray = start.astype("datetime64[m]") + minute.astype("timedelta64[m]")
    return times


def _sites(
    draw: np.random.Generator, clinic: Clinic, patient: np.ndarray, people: int
) -> np.ndarray:
    share = np.array([site.share for site in clinic.style.sites])
    home = _choose(draw, np.tile(share, (people, 1)))[patient]
    elsewhere = _choose(draw, np.tile(share, (len(patient), 1)))
    return np.where(draw.random(len(patient)) < _AT_HOME, home, elsewhere)


def _calendar(time: np.ndarray, birth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Age in completed years, month 0–11 and year from 2019 of each visit."""
    months = time.astype("datetime64[M]").astype(np.int64)
    day = (time.astype("datetime64[D]") - time.astype("datetime64[M]")).astype(np.int64)
    birth_months = birth.astype("datetime64[M]").astype(np.int64)
    birth_day = (birth - birth.astype("datetime64[M]")).astype(np.int64)
    age = (months - birth_months - (day < birth_day)) // 12
    return age, months % 12, months // 12 + 1970 - YEARS[0]


def _primaries(
    draw: np.random.Generator,
    clinic: Clinic,
    patient: np.ndarray,
    people: int,
    prior: np.ndarray,
) -> np.ndarray:
    """The Gumbel-max trick, with the patient's own noise at a share of the visits."""
    own = draw.gumbel(size=(people, prior.shape[1]))[patient]
    fresh = draw.gumbel(size=prior.shape)
    shared = draw.random((len(patient), 1)) < clinic.rates.persistence
    chosen: np.ndarray = np.argmax(prior + np.where(shared, own, fresh), axis=1)
    return chosen


def _comorbid(
    draw: np.random.Generator,
    probability: np.ndarray,
    patient: np.ndarray,
    people: int,
) -> np.ndarray:
    """[N, K] bool: a patient's own uniforms decide, redrawn where too many classes join."""
    joined: np.ndarray = draw.random((people, probability.shape[1]))[patient] < probability
    while len(many := np.flatnonzero(joined.sum(axis=1) > MOST_COMORBID)):
        joined[many] = draw.random((len(many), joined.shape[1])) < probability[many]
    return joined


def _absent(clinic: Clinic, classes: np.ndarray, site: np.ndarray) -> np.ndarray:
    """[N, F] log P(finding not recorded | the visit's classes), the noisy-OR."""
    absent = np.empty((len(site), len(clinic.quiet)))
    for place in range(len(clinic.absent)):
        rows = site == place
        absent[rows] = classes[rows].astype(float) @ clinic.absent[place] + clinic.quiet
    return absent


def _code(draw: np.random.Generator, clinic: Clinic, classes: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(classes)
    observed = np.full(classes.shape, -1)
    observed[rows, columns] = _choose(draw, clinic.coded[columns])
    return observed

"""The clinic's medical tables: what a physician may read and correct, as arrays.

Seven CSV files lie in ``tables/`` (or in a folder of the user's):

=================  ===============================================================
file               columns
=================  ===============================================================
diagnoses.csv      class, name, department, weight, male, female, five age bands,
                   four seasons, chronic
codes.csv          class, code, title, weight
findings.csv       finding, kind, formal, colloquial, abbreviated, leak, deny,
                   group, side, sex, min_age, max_age (wordings separated by ``|``)
links.csv          class, finding, probability: P(finding | class)
course.csv         class and one weight for each duration
comorbidity.csv    class, comorbid, probability
confusable.csv     class, other, weight: where a wrong code comes from
=================  ===============================================================
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from emrobust.errors import ConfigError, did_you_mean

SEXES = ("M", "F")
AGE_BANDS = ("age_0_5", "age_6_17", "age_18_39", "age_40_64", "age_65")
AGE_EDGES = (6, 18, 40, 65)
SEASONS = ("spring", "summer", "autumn", "winter")
DURATIONS = ("hours", "days_1_3", "days_4_7", "weeks_1_4", "months_1_12", "years")
KINDS = ("symptom", "sign", "vital", "test", "history", "trigger")
REGISTERS = ("formal", "colloquial", "abbreviated")
FOLDER = Path(str(resources.files("emrobust.clinic"))) / "tables"


@dataclass(frozen=True, eq=False)
class Finding:
    """What a doctor may write down, and in which words.

    Attributes:
        name: the finding's id.
        kind: one of `KINDS`.
        words: register → wordings; a register without its own takes the formal ones.
        groups: the body systems it is asked about with.
        sided: whether a side (左/右) may go before it.
        fits: [2, 5] bool, by sex and age band: 绝经 is asked of no boy.
    """

    name: str
    kind: str
    words: tuple[tuple[str, ...], ...]
    groups: frozenset[str]
    sided: bool
    fits: np.ndarray


@dataclass(frozen=True, eq=False)
class Medicine:
    """The tables as arrays over K classes and F findings.

    Attributes:
        classes, titles, departments: K strings each.
        weight: [K] prevalence before age, sex, season and site.
        sex, age, season: [2, K], [5, K], [4, K] multipliers.
        chronic: [K] bool.
        codes: for each class its ICD-10 codes, with titles and shares.
        findings: F findings.
        link: [K, F] P(finding | class).
        leak, deny: [F] P(finding | none of its causes); P(denied | absent).
        course: [K, 6] P(duration | primary class).
        comorbid: [K, K] P(second class | primary class), before age and sex.
        confusable: [K, K] share of the classes that a wrong code comes from.
    """

    classes: tuple[str, ...]
    titles: tuple[str, ...]
    departments: tuple[str, ...]
    weight: np.ndarray
    sex: np.ndarray
    age: np.ndarray
    season: np.ndarray
    chronic: np.ndarray
    codes: tuple[tuple[tuple[str, str, float], ...], ...]
    findings: tuple[Finding, ...]
    link: np.ndarray
    leak: np.ndarray
    deny: np.ndarray
    course: np.ndarray
    comorbid: np.ndarray
    confusable: np.ndarray


@dataclass(frozen=True)
class _Row:
    """One row of a table that knows where it stands."""

    place: str
    cells: dict[str, str]

    def text(self, column: str) -> str:
        value = self.cells.get(column)
        if value is None:
            raise ConfigError(f"{self.place} has no column {column!r}")
        return value.strip()

    def number(self, column: str, most: float = float("inf")) -> float:
        try:
            value = float(self.text(column))
        except ValueError:
            raise ConfigError(f"{self.place}: {column} is not a number") from None
        if not 0.0 <= value <= most:
            raise ConfigError(f"{self.place}: {column} must lie between 0 and {most:g}")
        return value

    def position(self, column: str, known: dict[str, int]) -> int:
        name = self.text(column)
        if name not in known:
            raise ConfigError(
                f"{self.place}: there is no {column} called {name!r}", did_you_mean(name, known)
            )
        return known[name]


def rows(path: Path) -> Iterator[_Row]:
    """The rows of a CSV table, each with its place for error messages.

    Raises:
        ConfigError: the table is missing.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, cells in enumerate(csv.DictReader(file), start=2):
                yield _Row(f"{path.name} row {number}", cells)
    except FileNotFoundError:
        raise ConfigError(
            f"the clinic's table {path} is missing", "Give all tables of the clinic in one folder."
        ) from None


@functools.lru_cache(maxsize=4)
def load(folder: Path = FOLDER) -> Medicine:
    """Read the medical tables of a folder.

    Raises:
        ConfigError: a table is missing, or a row names an unknown class or finding.
    """
    diagnoses = list(rows(folder / "diagnoses.csv"))
    classes = tuple(row.text("class") for row in diagnoses)
    place = {name: column for column, name in enumerate(classes)}
    described = list(rows(folder / "findings.csv"))
    findings = tuple(_finding(row) for row in described)
    return Medicine(
        classes=classes,
        titles=tuple(row.text("name") for row in diagnoses),
        departments=tuple(row.text("department") for row in diagnoses),
        weight=np.array([row.number("weight") for row in diagnoses]),
        sex=_columns(diagnoses, ("male", "female")),
        age=_columns(diagnoses, AGE_BANDS),
        season=_columns(diagnoses, SEASONS),
        chronic=np.array([row.number("chronic") > 0 for row in diagnoses]),
        codes=_codes(folder / "codes.csv", place),
        findings=findings,
        link=_pairs(
            folder / "links.csv",
            (place, {f.name: i for i, f in enumerate(findings)}),
            ("finding", "probability"),
        ),
        leak=np.array([row.number("leak", 1.0) for row in described]),
        deny=np.array([row.number("deny", 1.0) for row in described]),
        course=_course(folder / "course.csv", place),
        comorbid=_pairs(folder / "comorbidity.csv", (place, place), ("comorbid", "probability")),
        confusable=_pairs(
            folder / "confusable.csv", (place, place), ("other", "weight"), most=np.inf
        ),
    )


def _finding(row: _Row) -> Finding:
    kind = row.text("kind")
    if kind not in KINDS:
        raise ConfigError(f"{row.place}: {kind!r} is no kind", did_you_mean(kind, KINDS))
    words = [tuple(filter(None, row.text(register).split("|"))) for register in REGISTERS]
    if not words[0]:
        raise ConfigError(f"{row.place} has no formal wording")
    return Finding(
        name=row.text("finding"),
        kind=kind,
        words=tuple(of_register or words[0] for of_register in words),
        groups=frozenset(filter(None, row.text("group").split("|"))),
        sided=row.text("side") not in ("", "0"),
        fits=_fits(row),
    )


def _fits(row: _Row) -> np.ndarray:
    """Who may have the finding: age limits hold where they cover a whole age band."""
    first, last = (0, *AGE_EDGES), (*(edge - 1 for edge in AGE_EDGES), 200)
    youngest = row.number("min_age") if row.text("min_age") else 0
    oldest = row.number("max_age") if row.text("max_age") else 200
    ages = [low >= youngest and high <= oldest for low, high in zip(first, last, strict=True)]
    sexes = [row.text("sex") in ("", sex) for sex in SEXES]
    return np.outer(sexes, ages)


def _columns(table: list[_Row], names: tuple[str, ...]) -> np.ndarray:
    return np.array([[row.number(name) for row in table] for name in names])


def _codes(path: Path, place: dict[str, int]) -> tuple[tuple[tuple[str, str, float], ...], ...]:
    found: list[list[tuple[str, str, float]]] = [[] for _ in place]
    for row in rows(path):
        found[row.position("class", place)].append(
            (row.text("code"), row.text("title"), row.number("weight"))
        )
    for name, codes in zip(place, found, strict=True):
        if not codes:
            raise ConfigError(f"{path.name} has no code for the class {name!r}")
    return tuple(tuple(codes) for codes in found)


def _course(path: Path, place: dict[str, int]) -> np.ndarray:
    course = np.zeros((len(place), len(DURATIONS)))
    for row in rows(path):
        course[row.position("class", place)] = [row.number(name) for name in DURATIONS]
    for name, total in zip(place, course.sum(axis=1), strict=True):
        if total <= 0:
            raise ConfigError(f"{path.name} has no course for the class {name!r}")
    shares: np.ndarray = course / course.sum(axis=1, keepdims=True)
    return shares


def _pairs(
    path: Path,
    places: tuple[dict[str, int], dict[str, int]],
    columns: tuple[str, str],
    most: float = 1.0,
) -> np.ndarray:
    """A table of class, other and value as a matrix [classes, others]."""
    first, second = places
    matrix = np.zeros((len(first), len(second)))
    for row in rows(path):
        at = row.position("class", first), row.position(columns[0], second)
        matrix[at] = row.number(columns[1], most)
    return matrix

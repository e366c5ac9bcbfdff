"""What a package takes from the training records beside the model: counts of many, never of few.

Findings and departments are counted by patient, and what fewer than ``least`` patients share is
left out (k-anonymity of what is told, as small cells of a table are suppressed). Cases are whole
records, and are written only where the project says why they may be shown.
"""

from __future__ import annotations

import functools
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emrobust import lexicon, records, rng, runs
from emrobust.clinic import tables
from emrobust.config import Project
from emrobust.errors import ConfigError
from emrobust.explain.evidence import Evidence
from emrobust.normalize.sections import Sections
from emrobust.package import layout
from emrobust.perturb import mentions

LEAST_PATIENTS = 10
_MOST_NOTES = 20_000  # read for findings; more make no finding surer than it is
_MOST_FINDINGS = 12  # of a label
_DECIMALS = 3


@dataclass(frozen=True)
class Taught:
    """Prepared records in memory: of the split that the model learned from, or of another.

    Attributes:
        texts: as the model reads them.
        labels: of each.
        patients: whose each is.
        departments: where each was written; None where that is unknown.
        record_ids: of each.
    """

    texts: list[str]
    labels: list[list[str]]
    patients: list[str]
    departments: list[str | None]
    record_ids: list[str]

    def take(self, places: Sequence[int] | np.ndarray) -> Taught:
        """The records at these places."""
        columns = (getattr(self, name) for name in self.__dataclass_fields__)
        return Taught(*([column[place] for place in places] for column in columns))


def read(path: Path, split: str) -> Taught:
    """The records of a split, from a prepared table's records file."""
    table = records.read(path)
    table = table.filter(pa.array([of == split for of in table["split"].to_pylist()]))
    return Taught(
        records.join_text(table),
        [labels or [] for labels in table["labels"].to_pylist()],
        table["patient_id"].to_pylist(),
        table["department"].to_pylist(),
        table["record_id"].to_pylist(),
    )


def write(
    folder: Path,
    project: Project,
    titles: Mapping[str, Collection[str]],
    taught: Taught,
    *,
    least: int,
    cases: int,
) -> list[str]:
    """Write findings, departments and cases; what was left out and why, sentence by sentence.

    Args:
        folder: the package.
        project: of the run.
        titles: label → its titles; the label set, in its order.
        taught: the training records.
        least: patients that must share what is told.
        cases: how many records to show; 0: none.

    Raises:
        ConfigError: cases are wanted, and the project does not say that they may be shown.
    """
    notes = []
    runs.write_json(
        folder / layout.FINDINGS,
        {
            "patients": least,
            "labels": find_typical(taught, titles, least, project.seed, project.language),
        },
    )
    seen = count_departments(taught, list(titles), least)
    if seen["departments"]:
        runs.write_json(folder / layout.DEPARTMENTS, {"patients": least, **seen})
    else:
        notes.append(f"No departments: none has a label of {least} patients or more.")
    if cases:
        _write_cases(folder, project, taught, cases)
    return notes


def find_typical(
    taught: Taught,
    titles: Mapping[str, Collection[str]],
    least: int,
    seed: int,
    language: str,
) -> dict[str, list[dict[str, Any]]]:
    """The surest findings of each label that so many of its patients state.

    Of Chinese notes they are the lexicon's terms and the clinic's findings, without headings: a
    doctor gains nothing from 增高 or 辅助检查. Too few English ones are known to be picky. A
    diagnosis is no finding of itself.
    """
    if len(taught.texts) > _MOST_NOTES:
        drawn = rng.generator(seed, "findings").permutation(len(taught.texts))[:_MOST_NOTES]
        taught = taught.take(np.sort(drawn))
    evidence = Evidence(taught.texts, taught.labels, list(titles), taught.patients)
    found = {}
    for name, own in titles.items():
        typical = [
            of
            for of in evidence.typical(name)
            if of.patients >= least
            and (language == "en" or _is_finding(of.term))
            and not _is_called(of.term, (name, *own))
        ]
        found[name] = [
            {"term": of.term, "share": round(of.share, _DECIMALS)}
            for of in typical[:_MOST_FINDINGS]
        ]
    return found


def _is_finding(term: str) -> bool:
    if _headings().find(f"{term}："):
        return False
    return mentions.is_finding(term) or term in _known_words()


def _is_called(term: str, titles: Collection[str]) -> bool:
    """Whether a term, or another word for the same, stands in one of the titles."""
    forms = {term, *(form for owner in lexicon.load().owners(term) for form in owner.forms)}
    return any(form.lower() in title.lower() for form in forms for title in titles)


@functools.lru_cache(maxsize=1)
def _headings() -> Sections:
    return Sections()


@functools.lru_cache(maxsize=1)
def _known_words() -> frozenset[str]:
    """Findings that the lexicon takes for granted, such as 咳嗽, in the words of a textbook.

    A patient's words for one (鼻涕像水一样) would be missed in a note that has the formal ones.
    """
    formal = tables.REGISTERS.index("formal")
    return frozenset(word for finding in tables.load().findings for word in finding.words[formal])


def count_departments(taught: Taught, names: Sequence[str], least: int) -> dict[str, Any]:
    """Of each label's records with a department, the share of each that enough patients visited."""
    records_of: dict[str, Counter[str]] = {name: Counter() for name in names}
    patients_of: dict[tuple[str, str], set[str]] = defaultdict(set)
    for labels, department, patient in zip(
        taught.labels, taught.departments, taught.patients, strict=True
    ):
        for label in labels if department else ():
            records_of[label][str(department)] += 1
            patients_of[label, str(department)].add(patient)
    shares = {
        label: {
            department: round(count / counts.total(), _DECIMALS)
            for department, count in sorted(counts.items())
            if len(patients_of[label, department]) >= least
        }
        for label, counts in records_of.items()
    }
    known = sorted({department for of in shares.values() for department in of})
    return {"departments": known, "labels": {label: of for label, of in shares.items() if of}}


def _write_cases(folder: Path, project: Project, taught: Taught, count: int) -> None:
    if project.governance.cases is None:
        raise ConfigError(
            "--cases puts training records into the package, and nothing says that they may be "
            "read by others",
            'If they are made up or their use is permitted, set `governance.cases` to "synthetic" '
            'or "permitted" in the project file, and train again.',
        )
    chosen = _spread(taught, count, project.seed)
    rows = (
        {"text": taught.texts[row], "labels": taught.labels[row]}
        for row in chosen
        if taught.labels[row]
    )
    runs.write_text(
        folder / layout.CASES,
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        private=project.governance.cases == "permitted",
    )


def _spread(taught: Taught, count: int, seed: int) -> list[int]:
    """Records so that every label has some: round by round, each label's next one at random."""
    order = rng.generator(seed, "cases").permutation(len(taught.texts))
    turn: Counter[str] = Counter()
    ranked = []
    for row in order:
        labels = taught.labels[row]
        ranked.append((min((turn[label] for label in labels), default=len(order)), int(row)))
        turn.update(labels)
    ranked.sort(key=lambda of: of[0])
    return [row for _, row in ranked[:count]]

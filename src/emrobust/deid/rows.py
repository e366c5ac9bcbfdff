"""Some records at a time, in any process: what a worker is told, does and gives back."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from emrobust import records
from emrobust.config import Deid
from emrobust.deid import audit, detect, policy
from emrobust.deid.audit import Part
from emrobust.deid.key import Key
from emrobust.deid.operator import Subject
from emrobust.deid.operators.date_shift import move_time
from emrobust.deid.treatment import Known, Treated, Treatment, search

AGE_TOP = 90.0  # everybody older shares it
_SHORTEST_NUMBER = 6  # of record and patient that are looked for in the text


class Place(NamedTuple):
    """Where something is in the output: row 1 is the first record; never what it says."""

    row: int
    column: str
    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class Task:
    """What every worker is told once.

    Attributes:
        settings: the section of the project.
        key: the secret, if there is one.
        explain: whether every decision is given back.
        mapping: whether the originals are given back, to be sealed.
    """

    settings: Deid
    key: Key | None
    explain: bool = False
    mapping: bool = False


@dataclass
class Result:
    """What became of some records.

    Attributes:
        batch: to be written.
        counts: (kind, operator) → identifiers.
        leaks: direct identifiers that the gate found in the output.
        characters: of the texts that were treated.
        touched: rows in which something was replaced.
        explained: rows of ``explain.csv``, if asked for.
        mapped: entries of the mapping, if asked for.
        audit: of the rows that were drawn.
    """

    batch: pa.RecordBatch
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    leaks: list[Place] = field(default_factory=list)
    characters: int = 0
    touched: int = 0
    explained: list[tuple[Any, ...]] = field(default_factory=list)
    mapped: list[dict[str, Any]] = field(default_factory=list)
    audit: Part = field(default_factory=Part)


def output_schema(read: pa.Schema) -> pa.Schema:
    """The schema without the columns of identifiers."""
    kept = [column for column in read if not column.name.startswith(records.KNOWN_PREFIX)]
    return pa.schema(kept, metadata=read.metadata)


class Worker:
    """Treats batches of records; built once a process."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.policy = policy.build(task.settings, task.key)
        detectors = detect.load() if task.settings.enabled else ()
        if task.settings.enabled and task.settings.engines:
            detectors = (*detectors, *detect.load(task.settings.engines))
        self.treatment = Treatment(detectors, self.policy)

    def work(self, batch: pa.RecordBatch, first: int) -> Result:
        """Treat a batch whose first record is number ``first`` of the table, from 0."""
        columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        knowns = knowns_of(columns, batch.num_rows)
        result = Result(batch)
        if self.task.settings.enabled:
            columns = self._treat(columns, knowns, first, result)
        else:
            self._search(columns, knowns, first, result)
        schema = output_schema(batch.schema)
        arrays = [
            batch.column(of.name) if of.name in _SAME else pa.array(columns[of.name], of.type)
            for of in schema
        ]
        result.batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        return result

    def _search(
        self, columns: dict[str, list[Any]], knowns: Sequence[Known], first: int, result: Result
    ) -> None:
        """Without treatment: look only."""
        for name in self.fields(columns):
            for place, text in enumerate(columns[name]):
                result.characters += len(text)
                for leak in search(text, knowns[place]):
                    result.leaks.append(_place(first + place, name, *leak))

    def _treat(
        self, columns: dict[str, list[Any]], knowns: Sequence[Known], first: int, result: Result
    ) -> dict[str, list[Any]]:
        subjects = self._subjects(columns)
        out = {**columns, **self._structured(columns, subjects)}
        treat = set(self.fields(columns))
        texts = [name for name in columns if name.startswith(records.TEXT_PREFIX)]
        out.update({name: list(columns[name]) for name in texts})
        for place, (known, subject) in enumerate(zip(knowns, subjects, strict=True)):
            drawn = audit.is_drawn(first + place, self.task.settings.audit_rows)
            result.audit.rows += drawn
            before = result.counts.total()
            for name in texts:
                text = columns[name][place]
                if name not in treat:
                    for leak in search(text, known):
                        result.leaks.append(_place(first + place, name, *leak))
                    continue
                treated = self.treatment.treat(text, known, subject)
                out[name][place] = treated.text
                result.characters += len(text)
                self._note(result, treated, text, (first + place, name, out["record_id"][place]))
                if drawn:
                    detectors = self.treatment.detectors
                    audit.look(text, treated, known, detectors, result.audit)
                    patient = audit.hash_of(subject.patient)
                    rare = audit.find_rare(treated, first + place + 1, _bare(name), patient)
                    result.audit.rare.extend(rare)
            result.touched += result.counts.total() > before
            if self.task.mapping and self.task.settings.pseudonyms:
                result.mapped += [
                    {"row": first + place + 1, "column": name, "kind": name,
                     "pseudonym": out[name][place], "original": columns[name][place]}
                    for name in ("record_id", "patient_id")
                ]  # fmt: skip
        return out

    def _note(self, result: Result, treated: Treated, text: str, at: tuple[int, str, str]) -> None:
        row, column, record = at
        for span, operator, start, end in treated.decisions:
            result.counts[span.kind, operator] += 1
            if self.task.explain:
                result.explained.append(
                    (row + 1, record, _bare(column), span.start, span.end, span.kind,
                     f"{span.score:.3f}", span.detector, span.evidence, operator)
                )  # fmt: skip
            if self.task.mapping and operator != "keep":
                result.mapped.append(
                    {"row": row + 1, "record_id": record, "column": _bare(column), "start": start,
                     "end": end, "kind": span.kind, "original": text[span.start : span.end]}
                )  # fmt: skip
        result.leaks += [_place(row, column, *leak) for leak in treated.leaks]

    def fields(self, columns: dict[str, list[Any]]) -> list[str]:
        """The text columns to look at: those that the project names, or all."""
        fields = [name for name in columns if name.startswith(records.TEXT_PREFIX)]
        named = {records.TEXT_PREFIX + name for name in self.task.settings.columns}
        return [name for name in fields if name in named] if named else fields

    def _subjects(self, columns: dict[str, list[Any]]) -> list[Subject]:
        columns_of = zip(
            columns["patient_id"], columns["visit_time"], columns["department"], strict=True
        )
        return [
            Subject(patient, self.task.key, time, self._show(patient, time), department)
            for patient, time, department in columns_of
        ]

    def _show(self, patient: str, time: dt.datetime | None) -> dt.datetime | None:
        """A visit's time as it may be written out."""
        how = self.task.settings.visit_time
        if time is None or how == "drop":
            return None
        if how == "auto":
            shift = self.policy.shift
            return move_time(time, Subject(patient, self.task.key), shift) if shift else time
        month = {"month": time.month, "quarter": (time.month - 1) // 3 * 3 + 1, "year": 1}
        return time if how == "keep" else dt.datetime(time.year, month[how], 1)  # noqa: DTZ001 (local time)

    def _structured(
        self, columns: dict[str, list[Any]], subjects: Sequence[Subject]
    ) -> dict[str, list[Any]]:
        """The columns beside the texts: times, ages, numbers."""
        made: dict[str, list[Any]] = {"visit_time": [subject.shown for subject in subjects]}
        made["age"] = [age and min(age, AGE_TOP) for age in columns["age"]]
        if self.task.settings.pseudonyms and self.task.key is not None:
            for name in ("record_id", "patient_id"):
                made[name] = [self.task.key.pseudonym(name, value) for value in columns[name]]
        return made


_SAME = ("site", "department", "sex", "labels", "split", "fold")


def _place(row: int, column: str, start: int, end: int, kind: str) -> Place:
    return Place(row + 1, _bare(column), start, end, kind)


def _bare(column: str) -> str:
    return column.removeprefix(records.TEXT_PREFIX)


def knowns_of(columns: dict[str, list[Any]], rows: int) -> list[dict[str, list[str]]]:
    """What the columns of each row say of the person, by kind."""
    knowns: list[dict[str, list[str]]] = [{} for _ in range(rows)]
    for name, values in columns.items():
        if name.startswith(records.KNOWN_PREFIX):
            kind = name.removeprefix(records.KNOWN_PREFIX).rpartition("_")[0]
            for known, value in zip(knowns, values, strict=True):
                if value:
                    known.setdefault(kind, []).append(value)
    for name in ("record_id", "patient_id"):
        for known, value in zip(knowns, columns[name], strict=True):
            if len(value) >= _SHORTEST_NUMBER and value not in known.get("visit_no", ()):
                known.setdefault("visit_no", []).append(value)
    return knowns

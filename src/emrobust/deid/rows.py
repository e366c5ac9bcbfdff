"""Some records at a time, in any process: what a worker is told, does and gives back."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from emrobust import records
from emrobust.config import Deid
from emrobust.deid import audit, detect, policy
from emrobust.deid.audit import Part
from emrobust.deid.bare_name import BareName
from emrobust.deid.gate import DIRECT
from emrobust.deid.key import Key
from emrobust.deid.operator import Subject
from emrobust.deid.operators.date_shift import move_time
from emrobust.deid.prefilter import Needles
from emrobust.deid.treatment import Known, Treated, Treatment, search_all

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
        language: of texts in which no word tells.
    """

    settings: Deid
    key: Key | None
    explain: bool = False
    mapping: bool = False
    language: str = "zh"


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
        self.treatment = Treatment(detectors, self.policy, language=task.language)
        of_cells = [
            detector
            for detector in detectors
            if DIRECT & set(detector.kinds) and not isinstance(detector, BareName)
        ]
        self.treatment_of_cells = Treatment(of_cells, self.policy, DIRECT)

    def work(self, batch: pa.RecordBatch, first: int) -> Result:
        """Treat a batch whose first record is number ``first`` of the table, from 0."""
        columns = {
            of.name: batch.column(of.name).to_pylist()
            for of in batch.schema
            if of.name not in _SAME
        }
        needles = needles_of(columns, batch.num_rows)
        result = Result(batch)
        if self.task.settings.enabled:
            columns = self._treat(columns, needles, first, result)
        else:
            texts = {name: columns[name] for name in self.fields(columns)}
            self._search({**texts, **_cells(columns)}, needles, first, result)
        schema = output_schema(batch.schema)
        arrays = [
            batch.column(of.name) if of.name in _SAME else pa.array(columns[of.name], of.type)
            for of in schema
        ]
        result.batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        return result

    def _search(
        self, texts: Mapping[str, list[str]], needles: Needles, first: int, result: Result
    ) -> None:
        """Without treatment: look only."""
        names, flat = list(texts), _flat(texts)
        result.characters += sum(map(len, flat))
        for at, leaks in search_all(flat, needles).items():
            column, place = divmod(at, needles.rows)
            result.leaks += [_place(first + place, names[column], *leak) for leak in leaks]

    def _treat(
        self, columns: dict[str, list[Any]], needles: Needles, first: int, result: Result
    ) -> dict[str, list[Any]]:
        shown = list(map(self._show, columns["patient_id"], columns["visit_time"]))
        out = {**columns, **self._structured(columns, shown)}

        def subject_of(place: int) -> Subject:
            place %= needles.rows
            patient, time = columns["patient_id"][place], columns["visit_time"][place]
            department = columns["department"][place]
            return Subject(patient, self.task.key, time, shown[place], department)

        treat = self.fields(columns)
        parts = {name: columns[name] for name in treat}
        texts = _flat(parts)
        treated = self.treatment.treat_all(texts, needles, subject_of)
        touched = self._write(treated, parts, first, out, result)
        cells = _cells(columns)
        of_cells = self.treatment_of_cells.treat_all(_flat(cells), needles, subject_of)
        result.touched = len(touched | self._write(of_cells, cells, first, out, result))
        left = [name for name in columns if name.startswith(records.TEXT_PREFIX)]
        untreated = {name: columns[name] for name in left if name not in treat}
        self._search(untreated, needles, first, result)
        for place in self._drawn(first, needles.rows):
            result.audit.rows += 1
            patient = audit.hash_of(columns["patient_id"][place])
            for column, name in enumerate(treat):
                at = column * needles.rows + place
                one = treated.get(at) or Treated(texts[at], [], [])
                self._audit(texts[at], one, needles.row(at), result)
                rare = audit.find_rare(one, first + place + 1, _bare(name), patient)
                result.audit.rare.extend(rare)
        if self.task.mapping and self.task.settings.pseudonyms:
            result.mapped += [
                {"row": first + place + 1, "column": name, "kind": name,
                 "pseudonym": out[name][place], "original": columns[name][place]}
                for place in range(needles.rows)
                for name in ("record_id", "patient_id")
            ]  # fmt: skip
        return out

    def _write(
        self,
        treated: Mapping[int, Treated],
        texts: Mapping[str, list[str]],
        first: int,
        out: dict[str, list[Any]],
        result: Result,
    ) -> set[int]:
        """Put what was treated, column after column, into its rows; the places of those rows."""
        names, flat, rows = list(texts), _flat(texts), len(out["record_id"])
        result.characters += sum(map(len, flat))
        out.update({name: list(out[name]) for name in names})
        # Row after row, though the texts stand column after column.
        for at in sorted(treated, key=lambda at: (at % rows, at)):
            column, place = divmod(at, rows)
            name, one = names[column], treated[at]
            if one.decisions:
                out[name][place] = one.text.split(_BETWEEN) if name == "labels" else one.text
            self._note(result, one, flat[at], (first + place, name, out["record_id"][place]))
        return {at % rows for at, one in treated.items() if one.decisions}

    def _drawn(self, first: int, rows: int) -> list[int]:
        """Rows of a batch that are looked at by other means."""
        most = self.task.settings.audit_rows
        return [place for place in range(rows) if audit.is_drawn(first + place, most)]

    def _audit(self, text: str, treated: Treated, known: Known, result: Result) -> None:
        audit.look(text, treated, known, self.treatment.detectors, result.audit)

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
        self, columns: dict[str, list[Any]], shown: Sequence[dt.datetime | None]
    ) -> dict[str, list[Any]]:
        """The columns beside the texts: times, ages, numbers."""
        made: dict[str, list[Any]] = {"visit_time": list(shown)}
        made["age"] = [age and min(age, AGE_TOP) for age in columns["age"]]
        if self.task.settings.pseudonyms and self.task.key is not None:
            for name in ("record_id", "patient_id"):
                made[name] = [self.task.key.pseudonym(name, value) for value in columns[name]]
        return made


_SAME = ("sex", "split", "fold")
# A hospital fills these by hand too, so that a name or a number may stand in them. Of a place and
# a diagnosis the rest stays: they rightly name hospitals, towns and days, and a word alone (华山)
# is no name there.
_CELLS = ("site", "department")
# Between a row's labels, which are looked at as one text; no detector knows it.
_BETWEEN = "\ue000"
_CODE = re.compile(r"[A-Za-z]\d[A-Za-z\d][A-Za-z\d.+*/†-]{0,20}")


def _flat(texts: Mapping[str, Sequence[str]]) -> list[str]:
    """Column after column."""
    return [text for column in texts.values() for text in column]


def _cells(columns: dict[str, list[Any]]) -> dict[str, list[str]]:
    """The cells beside the texts that may hold a person; empty where they cannot."""
    cells = {name: [value or "" for value in columns[name]] for name in _CELLS}
    return {**cells, "labels": [_join(labels or ()) for labels in columns["labels"]]}


def _join(labels: Sequence[str]) -> str:
    """A row's labels as one text; nothing where all are codes."""
    return "" if all(map(_CODE.fullmatch, labels)) else _BETWEEN.join(labels)


def _place(row: int, column: str, start: int, end: int, kind: str) -> Place:
    return Place(row + 1, _bare(column), start, end, kind)


def _bare(column: str) -> str:
    return column.removeprefix(records.TEXT_PREFIX)


def needles_of(columns: dict[str, list[Any]], rows: int) -> Needles:
    """What the columns of each row say of the person, by kind."""
    told: list[tuple[str, list[str | None]]] = [
        (name.removeprefix(records.KNOWN_PREFIX).rpartition("_")[0], values)
        for name, values in columns.items()
        if name.startswith(records.KNOWN_PREFIX)
    ]
    for name in ("record_id", "patient_id"):
        long = [value if len(value) >= _SHORTEST_NUMBER else None for value in columns[name]]
        told.append(("visit_no", long))
    return Needles(told, rows)

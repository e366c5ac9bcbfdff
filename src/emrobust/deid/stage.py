"""The de-identification stage: records in, records without identifiers out, and what was done.

Batches stream through a pool of processes and come back in order, so that memory does not grow
with the table and the output is the same for any number of processes: what becomes of a row
depends on the row, the settings and the key alone.
"""

from __future__ import annotations

import contextlib
import csv
import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from emrobust import records, rejects, runs
from emrobust.config import Deid
from emrobust.deid import audit, mapping, risk, rows
from emrobust.deid.audit import Part
from emrobust.deid.gate import DIRECT
from emrobust.deid.key import Key, read_key
from emrobust.deid.rows import Place, Result, Task, Worker
from emrobust.errors import RecordsError

FACTS = "deid.json"
EXPLAIN_HEADER = (
    "row", "record_id", "column", "start", "end", "kind", "score", "detector", "evidence",
    "operator",
)  # fmt: skip
CHUNK_ROWS = 16_384  # at most, and so many bytes: patterns are compiled for every chunk
CHUNK_BYTES = 1 << 24
_INLINE = 1  # chunks that are treated without a pool: a process takes two seconds to start
_SHOWN = 5
_MOST_WORKERS = 4


@dataclass(frozen=True)
class Wishes:
    """What a user may ask for beside the records.

    Attributes:
        explain: CSV to write every decision to.
        mapping: file to seal the way back into.
        key: of the mapping, where it is not the project's.
    """

    explain: Path | None = None
    mapping: Path | None = None
    key: Key | None = None


@dataclass
class Totals:
    """What was done to all records."""

    rows: int = 0
    characters: int = 0
    touched: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    leaks: Counter[str] = field(default_factory=Counter)
    shown: list[Place] = field(default_factory=list)
    audit: Part = field(default_factory=Part)

    def add(self, result: Result) -> None:
        """Count a result in."""
        self.rows += result.batch.num_rows
        self.characters += result.characters
        self.touched += result.touched
        self.counts.update(result.counts)
        self.leaks.update(leak.kind for leak in result.leaks)
        self.shown += result.leaks[: _SHOWN - len(self.shown)]
        self.audit.add(result.audit)


class Deidentifier:
    """What records pass through: treated where ``settings.enabled``, searched in any case.

    Args:
        settings: the section ``[deid]``.
        wishes: what to write beside the records.
        language: of texts in which no word tells.

    Raises:
        ConfigError: an operator, a setting or the key is wrong.
    """

    def __init__(self, settings: Deid, wishes: Wishes | None = None, language: str = "zh") -> None:
        self.settings = settings
        self.wishes = wishes or Wishes()
        self.key = read_key(settings.key_file) if settings.enabled and settings.key_file else None
        self.totals = Totals()
        self._task = Task(
            settings,
            self.key,
            explain=self.wishes.explain is not None,
            mapping=self.wishes.mapping is not None,
            language=language,
        )
        self.worker = Worker(self._task)  # wrong settings are found before anything is read
        if self.wishes.mapping:
            mapping.refuse(self.wishes.mapping)

    @property
    def shifts(self) -> bool:
        """Whether dates are moved."""
        return self.worker.policy.shift is not None

    def schema(self, read: pa.Schema) -> pa.Schema:
        """The schema of what is written: without the columns of identifiers."""
        return rows.output_schema(read)

    def name(self, record_id: str) -> str:
        """The record's number as it may be written."""
        if self.settings.pseudonyms and self.key is not None and record_id:
            return self.key.pseudonym("record_id", record_id)
        return record_id

    def stream(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Treated batches in order.

        Raises:
            RecordsError: direct identifiers are in the output and are not accepted.
        """
        with contextlib.ExitStack() as stack:
            explain = self._open_explain(stack)
            sealed = None
            key = self.wishes.key or self.key
            if self.wishes.mapping and key:
                sealed = stack.enter_context(mapping.create(self.wishes.mapping, key))
            for result in self._results(_chunks(batches)):
                self.totals.add(result)
                if explain:
                    explain.writerows(result.explained)
                if sealed:
                    sealed.add(result.mapped)
                yield result.batch
            self._refuse()

    def _open_explain(self, stack: contextlib.ExitStack) -> Any:
        if self.wishes.explain is None:
            return None
        partial = stack.enter_context(runs.atomic_file(self.wishes.explain))
        handle = stack.enter_context(partial.open("w", encoding="utf-8", newline=""))
        writer = csv.writer(handle)
        writer.writerow(EXPLAIN_HEADER)
        return writer

    def _results(self, chunks: Iterator[tuple[int, pa.RecordBatch]]) -> Iterator[Result]:
        head: list[tuple[int, pa.RecordBatch]] = []
        for chunk in chunks:
            head.append(chunk)
            if len(head) > _INLINE:
                break
        workers = self.settings.workers or min(os.cpu_count() or 1, _MOST_WORKERS)
        if len(head) <= _INLINE or workers == 1:
            for first, batch in _chain(head, chunks):
                yield self.worker.work(batch, first)
            return
        # spawn: this process has threads (Arrow's), which fork would leave in an unknown state
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(
            workers, mp_context=context, initializer=_start, initargs=(self._task,)
        ) as pool:
            waiting: deque[Future[Result]] = deque()
            for first, batch in _chain(head, chunks):
                waiting.append(pool.submit(_work, batch, first))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _refuse(self) -> None:
        """Refuse to go on with direct identifiers in the output."""
        leaks = self.totals.leaks
        if not leaks or self.settings.accept_identifiers:
            return
        kinds = ", ".join(f"{n} {kind}" for kind, n in leaks.most_common())
        places = "\n".join(
            f"  row {p.row}, {p.column}, characters {p.start}–{p.end}: {p.kind}"
            for p in self.totals.shown
        )
        raise RecordsError(
            f"direct identifiers are in the texts that would be written: {kinds}\n{places}",
            _MISSED if self.settings.enabled else _OFF,
        )

    def facts(self, path: Path | None) -> dict[str, Any]:
        """What was done and what may be left, as plain JSON values; no text, no key.

        Args:
            path: the records file that was written; without it there is no risk to measure.
        """
        totals, policy = self.totals, self.worker.policy.names()
        kept = [k for k in DIRECT if policy[k] == "keep" and totals.counts[k, "keep"]]
        found: dict[str, Any] = {
            "enabled": self.settings.enabled,
            "rows": totals.rows,
            "characters": totals.characters,
            "rows_touched": totals.touched,
            "found": _nested(totals.counts),
            "direct_identifiers_left": dict(sorted(totals.leaks.items())),
            "direct_identifiers_places": [place._asdict() for place in totals.shown],
            "accepted": self.settings.accept_identifiers,
            "operators": policy if self.settings.enabled else {},
            "detectors": [detector.name for detector in self.worker.treatment.detectors],
            "key": self.key.fingerprint() if self.key else "",
            "visit_time": self._visit_time(),
            "pseudonyms": self.settings.pseudonyms,
        }
        if self.settings.enabled:
            left = sum(totals.leaks.values())
            if self.settings.audit_rows:
                found["audit"] = audit.conclude(totals.audit)
                left += sum(
                    n for (kind, which), n in totals.audit.known.items()
                    if which == "left" and kind in DIRECT | {"name"}
                )  # fmt: skip
            if path is not None:
                found["risk"] = risk.measure(path, direct_left=left, operators_kept=len(kept))
        return found

    def _visit_time(self) -> str:
        if not self.settings.enabled:
            return "keep"
        shift = self.worker.policy.shift
        how = self.settings.visit_time
        return how if how != "auto" else ("shift" if shift else "keep")


def stage(settings: Deid, source: Path, target: Path) -> runs.Summary:
    """De-identify a folder with ``records.parquet`` into another.

    Args:
        settings: the section ``[deid]``.
        source: a folder of a stage.
        target: an empty folder; gets ``records.parquet``, ``rejects.csv`` (no row is refused)
            and ``deid.json``.

    Raises:
        ConfigError: an operator, a setting or the key is wrong.
        RecordsError: direct identifiers are in the output and are not accepted.
    """
    deidentifier = Deidentifier(settings)
    read = records.read_schema(source / records.FILE)
    batches = records.read_batches(source / records.FILE)
    with rejects.open_in(target):
        stream = deidentifier.stream(batches)
        kept = records.write(target / records.FILE, deidentifier.schema(read), stream)
    facts = deidentifier.facts(target / records.FILE)
    runs.write_json(target / FACTS, facts)
    return runs.Summary(rows_in=kept, rows_out=kept, notes=notes_of(facts))


def notes_of(facts: dict[str, Any]) -> dict[str, Any]:
    """The few facts that a stage's summary shows."""
    return {
        "deidentified": facts["enabled"],
        "identifiers_found": sum(n for of in facts["found"].values() for n in of.values()),
        "direct_identifiers_left": facts["direct_identifiers_left"],
    }


def _nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (kind, operator), number in sorted(counts.items()):
        nested.setdefault(kind, {})[operator] = number
    return nested


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches cut small, each with the number of its first row."""
    first = 0
    for batch in batches:
        rows = max(1, min(CHUNK_ROWS, CHUNK_BYTES * batch.num_rows // (batch.nbytes + 1)))
        for start in range(0, batch.num_rows, rows):
            piece = batch.slice(start, rows)
            yield first, piece
            first += piece.num_rows


def _chain(
    head: list[tuple[int, pa.RecordBatch]], rest: Iterator[tuple[int, pa.RecordBatch]]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    yield from head
    yield from rest


_MISSED = "Look at these places; where they are none, set [deid] accept_identifiers = true."
_OFF = (
    "Set [deid] enabled = true to take them out, or accept_identifiers = true where the table is "
    "public or made up."
)
_workers: list[Worker] = []


def _start(task: Task) -> None:
    _workers[:] = [Worker(task)]


def _work(batch: pa.RecordBatch, first: int) -> Result:
    return _workers[0].work(batch, first)

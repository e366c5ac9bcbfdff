"""One job: rows of a table → the model → parts on disk → the store.

A part is written, then its predictions are recorded, then the job's progress is. Who goes on after
a kill takes the parts that are there instead of asking the model again, and a prediction's id
follows from the job and the row, so no row is lost and none is there twice. Requests go first: a
job hands the model a few texts at a time, and only while no request waits.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from emrobust.errors import LostLeaseError, SourceError
from emrobust.package import table
from emrobust.package.treatment import open_treatment
from emrobust.serve.catalog import Served
from emrobust.serve.consultation import About, decide, entry_of
from emrobust.serve.jobs.files import Files, Line
from emrobust.serve.service import Service
from emrobust.serve.store import Prediction
from emrobust.serve.store import jobs as queue
from emrobust.serve.store.entries import LONGEST
from emrobust.serve.store.jobs import Beat, Job

if TYPE_CHECKING:
    import pyarrow as pa

    from emrobust.rejects import Rejects

TASK = "batch"
_TEXTS = 4  # that the model gets at a time: a request waits for no more than these
_ROWS = 1024  # that are de-identified at a time
_PART_SECONDS, _PART_ROWS = 1.0, 1000  # of work that a kill may cost
_RECORDS = 16  # that may stand before a request's row in the store's queue
_DIGITS = 4


def check_table(served: Served, files: Files, path: Path) -> list[str]:
    """Refuse a table that the model cannot read, by its header alone.

    Returns:
        columns of the model's project that the table lacks and a prediction does without.

    Raises:
        SourceError: it cannot be read, or lacks the record's number or a text.
    """
    absent: list[str] = []
    with files.unnamed():
        _open(served, path, absent)
    return absent


@final
class Task:
    """A job in a worker's hand.

    Args:
        service: whose models are asked, and whose store records what they say.
        loop: the service's.
        job: as it was claimed.
        beat: reports progress; raises `LostLeaseError` where the job is somebody else's now.
        stopping: whether the service is about to end.
    """

    def __init__(
        self,
        service: Service,
        loop: asyncio.AbstractEventLoop,
        job: Job,
        beat: Beat,
        stopping: Callable[[], bool],
    ) -> None:
        self._service = service
        self._loop = loop
        self._job = job
        self._beat = beat
        self._stopping = stopping
        self._files = Files(Path(job.target).parent)
        self._done = job.done

    def run(self) -> None:
        """Do what is left of the job.

        Raises:
            LostLeaseError: it is somebody else's now, or was given back since the service ends.
            SourceError: the table cannot be read.
            UnavailableError: the store is away; the job can be gone on with.
        """
        if not self._files.result.is_file():
            with self._files.unnamed():
                self._predict(Path(self._job.source))
        self._files.tidy()

    def _predict(self, path: Path) -> None:
        # Late: polars takes as long to load as the rest of the service, and requests need none.
        from emrobust import rejects  # noqa: PLC0415

        if not path.is_file():
            raise SourceError(
                "the table of this job is not on this machine",
                "Services that share a store must share the folder of `serve.jobs`.",
            )
        if self._job.total is None:
            self._count(path)
        while lines := self._files.read_part(self._done):
            self._acknowledge(lines)
        with rejects.open_in(self._files.folder, self._files.rejects.name) as refused:
            for lines in _gather(self._score(path, refused)):
                self._beat(self._done)  # a part may be written only while the job is its own
                self._files.write_part(self._done, lines)
                self._acknowledge(lines)
        if not self._done:
            raise _nothing_left(refused.counts)
        self._assemble()

    def _count(self, path: Path) -> None:
        total = 0
        for batch in _open(self._find(), path, []):
            total += batch.num_rows
            self._beat(self._done, total)

    def _find(self) -> Served:
        """The model, as long as it is served."""
        return self._service.catalog.find(self._job.model)

    def _score(self, path: Path, refused: Rejects) -> Iterator[list[Line]]:
        """Predictions of the rows behind those that are done, a few at a time."""
        from emrobust import records  # noqa: PLC0415 - see `_predict`

        served = self._find()
        row = self._done
        for batch in _treat(served, _skip(_open(served, path, [], refused), row)):
            ids, texts = batch.column("record_id").to_pylist(), records.join_text(batch)
            for at in range(0, len(ids), _TEXTS):
                if self._stopping():
                    self._give_back()
                here = slice(at, at + _TEXTS)
                yield self._ask(row, ids[here], texts[here])
                row += len(ids[here])

    def _give_back(self) -> None:
        """Let another worker take the job at once; the rows of no part yet are scored again."""
        queue.beat(self._service.store.database, self._job, self._done, lease=0.0)
        raise LostLeaseError(f"job {self._job.id} is given back")

    def _ask(self, row: int, ids: Sequence[str], texts: Sequence[str]) -> list[Line]:
        served = self._find()
        own = self._wait(served.batcher.score(texts, patient=True))
        return [
            self._line(served, row + place, name, of_row)
            for place, (name, of_row) in enumerate(zip(ids, own, strict=True))
        ]

    def _wait(self, asking: Coroutine[Any, Any, np.ndarray]) -> np.ndarray:
        """The model's answer, however long requests go first; the lease is renewed meanwhile."""
        answer = asyncio.run_coroutine_threadsafe(asking, self._loop)
        try:
            while True:
                done, _ = futures.wait([answer], _PART_SECONDS)
                if done:
                    return answer.result()
                if self._stopping():
                    self._give_back()
                self._beat(self._done)
        finally:
            answer.cancel()  # does nothing to one that is done

    def _line(self, served: Served, row: int, record_id: str, own: np.ndarray) -> Line:
        [found] = decide(self._service, served, own[None])
        told = entry_of(served, found, self._about(record_id), time.perf_counter(), text=None)
        name = str(uuid.uuid5(uuid.UUID(self._job.id), str(row)))
        likely = dict(told.probabilities)
        return Line(record_id, name, likely, told.chosen, told.uncertain, found.reasons)

    def _about(self, record_id: str) -> About:
        """Whose answer it is; a "number" that is a text stays out of the log."""
        fits = len(record_id) <= LONGEST and record_id.isprintable()
        return About(self._job.actor, TASK, record_id if fits else None)

    def _acknowledge(self, lines: Sequence[Line]) -> None:
        """Record a part that is on disk, and that it is done."""
        for some in _cut(lines, _RECORDS):
            waiting = [self._service.store.submit(self._entry(line)) for line in some]
            for future in waiting:
                future.result()
        self._done += len(lines)
        self._beat(self._done)

    def _entry(self, line: Line) -> Prediction:
        about = self._about(line.record_id)
        return Prediction(
            actor=about.actor,
            task=about.task,
            model=self._job.model,
            record_id=about.record_id,
            probabilities=line.probabilities,
            chosen=tuple(line.chosen),
            uncertain=tuple(line.uncertain),
            abstained=bool(line.reasons),
            id=line.id,
        )

    def _assemble(self) -> None:
        """All parts as one file."""
        from emrobust.pipeline import prediction  # noqa: PLC0415 - see `_predict`

        batches = ([_row(line) for line in lines] for lines in self._files.parts())
        prediction.write(self._files.result, batches, _schema(), private=True)


def _open(
    served: Served,
    path: Path,
    absent: list[str],
    refused: Rejects | None = None,
) -> Iterator[pa.RecordBatch]:
    from emrobust import ingest  # noqa: PLC0415 - see `Task._predict`

    return ingest.batches(
        table.source_of(served.package, path),
        refused=refused,
        with_labels=False,
        with_known=served.package.deid().enabled,
        absent=absent,
    )


def _nothing_left(counts: Counter[str]) -> SourceError:
    """Why there is no prediction; the reasons are words of ours, and the same for every row."""
    if not counts:
        return SourceError("the table has a header but no rows", "Export it again.")
    reason, rows = counts.most_common(1)[0]
    said = f"none of the {counts.total()} rows can be used; {rows} of them for the reason: {reason}"
    return SourceError(said, "Export the table again, with the columns of the model's project.")


def _treat(served: Served, batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    """Records as the model reads them."""
    settings = served.package.deid()
    if not settings.enabled:
        return batches
    # In this process: others would take as much memory each as the service itself.
    alone = settings.model_copy(update={"workers": 1})
    return open_treatment(alone, served.package.facts["language"]).stream(batches)


def _skip(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """What follows the first rows, in small batches."""
    for batch in batches:
        for start in range(min(rows, batch.num_rows), batch.num_rows, _ROWS):
            yield batch.slice(start, _ROWS)
        rows = max(rows - batch.num_rows, 0)


def _gather(pieces: Iterable[list[Line]]) -> Iterator[list[Line]]:
    """Pieces put together to parts, each of a second's work."""
    lines: list[Line] = []
    since = time.monotonic()
    for piece in pieces:
        lines += piece
        if time.monotonic() - since > _PART_SECONDS or len(lines) >= _PART_ROWS:
            yield lines
            lines, since = [], time.monotonic()
    if lines:
        yield lines


def _cut(lines: Sequence[Line], size: int) -> Iterator[Sequence[Line]]:
    return (lines[at : at + size] for at in range(0, len(lines), size))


def _schema() -> pa.Schema:
    """As `emrobust predict` writes them, and what the service adds."""
    import pyarrow as pa  # noqa: PLC0415 - see `Task._predict`

    from emrobust.pipeline import prediction  # noqa: PLC0415 - likewise

    return prediction.SURE_SCHEMA.append(pa.field("prediction", pa.string()))


def _row(line: Line) -> dict[str, Any]:
    likeliest, most = next(iter(line.probabilities.items()))
    return {
        "record_id": line.record_id,
        "labels": list(line.chosen),
        "probabilities": [round(line.probabilities[name], _DIGITS) for name in line.chosen],
        "likeliest": likeliest,
        "likeliest_probability": round(most, _DIGITS),
        "prediction_set": list(line.uncertain),
        "reasons": list(line.reasons),
        "prediction": line.id,
    }

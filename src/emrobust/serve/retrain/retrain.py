"""Doctors' feedback and the hospital's table → a folder that `emrobust train` takes as it is."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emrobust import config, records, rejects, runs
from emrobust.config import Project, Source
from emrobust.deid.key import Key, read_key
from emrobust.errors import ConfigError, NotFoundError
from emrobust.ingest import source_of
from emrobust.pipeline import governance
from emrobust.pipeline.prepare import SPLIT as SPLIT_STAGE
from emrobust.pipeline.prepare import prepare
from emrobust.pipeline.rows import need_prepared
from emrobust.serve.retrain import verdicts
from emrobust.serve.retrain.codes import Codes
from emrobust.serve.retrain.table import SPLIT, Counts, Rewriter
from emrobust.serve.retrain.verdicts import Verdict
from emrobust.serve.store import Event, Store
from emrobust.train import run as training

TABLE, PROJECT, CLASSES, REVIEW, SUMMARY = (
    "table.csv", "project.toml", "classes.csv", "review.csv", "summary.json",
)  # fmt: skip
_SHEET = (
    "record_id", "counts", "verdict", "labels", "at", "actor", "model", "prediction",
)  # fmt: skip


@dataclass(frozen=True)
class Retrained:
    """What was written.

    Attributes:
        folder: with the table, the project file, the review sheet and the summary.
        summary: counts, as in ``summary.json``.
    """

    folder: Path
    summary: dict[str, Any]

    def lines(self) -> Iterator[str]:
        """The summary in sentences."""
        of = self.summary
        origins = ", ".join(f"{count:,} by {name}" for name, count in of["origins"].items())
        splits = ", ".join(f"{count:,} {name}" for name, count in of["splits"].items())
        yield f"{of['read']:,} rows read, {of['rows']:,} written; labels: {origins}"
        yield f"splits of the old run: {splits}"
        yield f"{of['reviewed']:,} records with feedback, {of['disputed']:,} of them to look at"
        if of["absent"]:
            yield f"  {of['absent']:,} of them are not in the table, and no text was kept"
        for label, count in of["unknown"].items():
            yield f"  {count:,} labels of doctors were left out: no code stands for {label}"
        if of["uncoded"]:
            yield f"  {of['uncoded']:,} kept texts were left out: no code stands for their labels"
        for reason, rows in of["refused"].items():
            yield f"  {rows:,} rows refused: {reason} ({rejects.FILE})"


def retrain(
    store: Store,
    project: Project,
    out: Path,
    *,
    data: Path | None = None,
    run: Path | None = None,
    model: str | None = None,
    actor: str,
) -> Retrained:
    """Write a training table with doctors' labels, all or nothing.

    The last doctor who answered has the last word. Where words differ, and where the last one
    rejected without a correction (the row keeps the table's labels then), the review sheet says so.

    Args:
        store: with the feedback; texts that it kept make rows of records that the table lacks.
        project: of the model; its columns and labels are kept.
        out: folder to write.
        data: the hospital's table; absent: the project's own source.
        run: whose splits stay; absent: the project's source is split again, as it was.
        model: whose feedback counts, its name without a version; absent: the only one with any.
        actor: who asks, for the audit log.

    Raises:
        ConfigError: ``out`` holds something, the data-use record is over, or several models have
            feedback and none is named.
        InputError: the table does not fit, or there is no feedback.
        StorageError: ``out`` cannot be written.
    """
    governance.check(project)
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise ConfigError(f"{out} is not empty", "Give a new folder with --out.")
    known = verdicts.read(store.database, model)
    if not known:
        which = f" on a model {model!r}" if model else ""
        raise NotFoundError(
            f"the store has no feedback{which}", "Doctors give it at the service's page."
        )
    source = project.source if data is None else source_of(project.source, data)
    plain = source.columns.model_copy(update={"split": None})
    source = source.model_copy(update={"columns": plain})
    split_of = _read_splits(project, run)
    codes = Codes(project.labels)
    with runs.atomic_folder(out) as partial:
        with rejects.open_in(partial) as refused:
            rewriter = Rewriter(source, known, codes, split_of, refused)
            rows = _all_rows(rewriter, source.path, store, known, actor)
            absent = _write_table(partial / TABLE, rewriter, rows, source)
        _write_sheet(partial / REVIEW, verdicts.list_disputed(known))
        _write_project(partial, project)
        summary = _summarise(rewriter.counts, refused.counts, known, absent)
        runs.write_json(partial / SUMMARY, summary)
    detail = {"rows": summary["rows"], "reviewed": summary["reviewed"]}
    store.record(Event(actor=actor, action="training table made", detail=detail))
    return Retrained(out, summary)


def _all_rows(
    rewriter: Rewriter, path: Path | None, store: Store, known: dict[str, Verdict], actor: str
) -> Iterator[dict[str, str]]:
    """The table's rows, then those of kept texts."""
    yield from rewriter.rows(path)
    for record, verdict in known.items() if store.keeps_text else ():
        if record in rewriter.counts.met or not verdict.labels:
            continue
        try:
            text = store.text(verdict.last.prediction, actor)
        except NotFoundError:
            continue
        made = rewriter.of_text(record, text)
        if made is not None:
            yield made


def _write_table(
    path: Path, rewriter: Rewriter, rows: Iterable[dict[str, str]], source: Source
) -> int:
    """Write the rows; how many records with feedback are in none of them.

    The settings of the source stay as they are, since the model made of this table reads the
    hospital's next export by them. So where they name an encoding, a delimiter or the header's row,
    it is this one's.
    """
    encoding = "utf-8" if source.encoding == "auto" else source.encoding
    delimiter = "," if source.delimiter == "auto" else source.delimiter
    with (
        runs.atomic_file(path, private=True) as partial,
        partial.open("w", encoding=encoding, newline="") as file,
    ):
        writer = csv.DictWriter(file, rewriter.columns, delimiter=delimiter)
        file.write("\n" * (source.header_row - 1))
        writer.writeheader()
        writer.writerows(rows)
    return len(rewriter.verdicts.keys() - rewriter.counts.met)


def _write_sheet(path: Path, disputed: Sequence[Verdict]) -> None:
    """Every word on the records that somebody should look at; one line counts, at most."""
    with (
        runs.atomic_file(path, private=True) as partial,
        partial.open("w", encoding="utf-8-sig", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(_SHEET)
        for verdict in disputed:
            for word in verdict.words:
                counts = word is verdict.last and word.is_whole
                writer.writerow(
                    [
                        word.record_id, "yes" if counts else "no", word.verdict,
                        ";".join(word.labels), word.at, word.actor, word.model, word.prediction,
                    ]
                )  # fmt: skip


def _write_project(folder: Path, project: Project) -> None:
    """The project of the new table: the same but for where its rows are and who splits them."""
    labels = project.labels
    if labels.table is not None:
        (folder / CLASSES).write_bytes(labels.table.read_bytes())
        labels = labels.model_copy(update={"table": Path(CLASSES)})
    columns = project.source.columns.model_copy(update={"split": SPLIT})
    place = {"path": Path(TABLE), "url": None, "query": None, "table": None}
    source = project.source.model_copy(update={**place, "columns": columns})
    made = project.model_copy(update={"source": source, "labels": labels})
    head = f"# Made by `emrobust retrain`. Train it: emrobust train {PROJECT} --out RUN\n"
    runs.write_text(folder / PROJECT, head + config.dump(made))


def _read_splits(project: Project, run: Path | None) -> Callable[[str, str], str]:
    """Tells the split that a record, or else its patient, had; empty for strangers."""
    with tempfile.TemporaryDirectory() as scratch:
        if run is None:
            prepare(project, Path(scratch) / "data")
            folder = Path(scratch) / "data"
        else:
            folder = need_prepared(training.load(run))
        columns = ["record_id", "patient_id", "split"]
        table = records.read(folder / SPLIT_STAGE / records.FILE, columns)
    of_record: dict[str, str] = {}
    of_patient: dict[str, str] = {}
    for record, patient, split in zip(*(table[of].to_pylist() for of in columns), strict=True):
        if split is not None:
            of_record[record] = split
            of_patient[patient] = max(
                of_patient.get(patient, split), split, key=records.SPLITS.index
            )
    key = _key(project)

    def find(record: str, patient: str) -> str:
        if key is not None:
            record = key.pseudonym("record_id", record)
            patient = key.pseudonym("patient_id", patient)
        return of_record.get(record) or of_patient.get(patient, "")

    return find


def _key(project: Project) -> Key | None:
    """What the numbers of prepared records are made with, where they are pseudonyms."""
    settings = project.deid
    if settings.enabled and settings.pseudonyms and settings.key_file is not None:
        return read_key(settings.key_file)
    return None


def _summarise(
    counts: Counts, refused: Mapping[str, int], known: dict[str, Verdict], absent: int
) -> dict[str, Any]:
    return {
        "read": counts.read,
        "rows": counts.rows,
        "refused": dict(refused),
        "origins": dict(counts.origins),
        "splits": dict(counts.splits),
        "reviewed": len(known),
        "disputed": len(verdicts.list_disputed(known)),
        "rejected": sum(of.last.verdict == "rejected" for of in known.values()),
        "absent": absent,
        "uncoded": counts.uncoded,
        "unknown": dict(counts.unknown),
    }

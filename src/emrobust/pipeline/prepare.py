"""The ordered list of stages that prepare a table."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emrobust import labels, records, runs, split
from emrobust.config import Project
from emrobust.errors import ConfigError
from emrobust.evaluate import suites
from emrobust.labels.aggregate import mapper
from emrobust.pipeline import deid, governance

# The folders of a prepared table, in the order in which the stages write them.
INGEST, CLASSES, SPLIT, LABELS = "1-ingest", "2-classes", "3-split", "4-labels"
STAGES = (INGEST, CLASSES, SPLIT, LABELS)
# Beside them: test suites of the records.
SUITES = "suites"


def prepare(project: Project, out: Path, today: dt.date | None = None) -> dict[str, runs.Summary]:
    """Run every stage whose settings or inputs changed; their summaries in order.

    The first stage takes the identifiers out where ``[deid]`` is enabled, and in any case refuses
    to write direct identifiers that are not accepted, so no later folder can hold one.

    Args:
        project: what to read.
        out: folder to write.
        today: the day on which the data-use record must still hold; absent: this machine's.

    Raises:
        ConfigError: the data-use record is over.
        InputError: the source, the codes or the split are wrong, or direct identifiers are left.
        StorageError: ``out`` cannot be written.
    """
    reading = settle(project, today)
    stages: list[tuple[str, runs.Stage, Any, Path]] = [
        (INGEST, deid.read, reading, project.source.path or Path("absent")),
        (CLASSES, labels.aggregate, project.labels, out / INGEST),
        (SPLIT, split.split, _split_settings(project), out / CLASSES),
        (LABELS, labels.select, project.labels, out / SPLIT),
    ]
    before = checksum(out)
    summaries = {
        name: runs.run_stage(stage, settings, source, out / name)[0]
        for name, stage, settings, source in stages
    }
    if before != checksum(out):
        # They hold texts and labels of the records that were here.
        shutil.rmtree(out / SUITES / suites.ATTACK, ignore_errors=True)
    return summaries


def checksum(out: Path) -> str | None:
    """Of a prepared folder's records; None where there are none."""
    file = out / LABELS / records.FILE
    return runs.checksum(file) if file.is_file() else None


def settle(project: Project, today: dt.date | None = None) -> deid.Reading:
    """What can be refused before the source is opened; the settings of the first stage.

    Args:
        project: what to read.
        today: the day on which the data-use record must still hold; absent: this machine's.

    Raises:
        ConfigError: no column of labels, the data-use record is over, or the key cannot be used.
        LabelError: the class table cannot be used.
    """
    if not project.source.columns.labels:
        raise ConfigError(
            "`source.columns.labels` is missing: there is nothing to learn",
            "Name the column(s) with the diagnoses.",
        )
    governance.check(project, today)
    mapper(project.labels)
    return deid.reading_of(project)


def _split_settings(project: Project) -> split.Settings:
    return split.Settings(**project.split.model_dump(), seed=project.seed)


def describe(summaries: Mapping[str, runs.Summary]) -> Iterator[str]:
    """A line a stage, and one for each reason for which rows were refused."""
    for name, summary in summaries.items():
        yield f"{name}: {summary.rows_in:,} rows in, {summary.rows_out:,} out"
        dropped = summary.notes.get("dropped_columns")
        if dropped:
            yield f"  {len(dropped)} columns that nobody named were dropped: {_some(dropped)}"
        for column, cells in summary.notes.get("unread", {}).items():
            yield f"  {cells:,} cells of {column} were not understood, and left out"
        if summary.notes.get("deidentified"):
            yield f"  {summary.notes['identifiers_found']:,} identifiers treated"
        for kind, left in summary.notes.get("direct_identifiers_left", {}).items():
            yield f"  accepted in the texts: {left:,} {kind}"
        for warning in summary.notes.get("warnings", ()):
            yield f"  warning: {warning}"
        for reason, rows in summary.rejected.items():
            yield f"  {rows:,} refused: {reason} ({name}/rejects.csv)"


_SHOWN = 8


def _some(names: list[str]) -> str:
    more = ", …" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

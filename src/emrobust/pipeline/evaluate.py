"""From run folders to metrics, comparison and report."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from emrobust import config, labels, rejects, runs
from emrobust.evaluate import Comparison, Evaluation
from emrobust.evaluate import run as evaluation
from emrobust.pipeline import deid
from emrobust.pipeline.prepare import CLASSES, INGEST, LABELS, source_of
from emrobust.report import LengthHistogram, OtherModel, ReportContext, write_report
from emrobust.train import run as training
from emrobust.train.run import Run

METRICS = "metrics.json"
REPORT = "report.html"


def evaluate(
    folder: Path,
    out: Path,
    data: Path | None = None,
    baselines: Sequence[Path] = (),
    today: dt.date | None = None,
) -> tuple[Evaluation, Mapping[str, runs.Summary]]:
    """Measure a run, write ``metrics.json`` and ``report.html``.

    Args:
        folder: the run.
        out: where to write.
        data: another table, read as the run's source was; its own test split otherwise.
        baselines: runs to show beside it, measured on the same records.
        today: the day on which the data-use records must still hold; absent: this machine's.

    Returns:
        the scores, and what the stages that read another table did (rows refused, why).

    Raises:
        ConfigError: the data-use record of a run is over.
        InputError: the table does not fit the run.
        RunError: a folder is not a finished run.
    """
    run = training.load(folder, today)
    others = [training.load(baseline, today) for baseline in baselines]
    with tempfile.TemporaryDirectory() as scratch:
        read = {} if data is None else _read(run, data, Path(scratch))
        at = None if data is None else Path(scratch) / LABELS
        measured = evaluation.evaluate(run, at)
        beside = [OtherModel(_name(other), *evaluation.beside(other, run, at)) for other in others]
        for name in read:
            runs.write_text(
                out / f"rejects-{name}.csv", (Path(scratch) / name / rejects.FILE).read_text()
            )
    runs.write_json(out / METRICS, measured.to_json())
    write_report(out / REPORT, measured, _context(run, tuple(beside), read))
    return measured, read


def _read(run: Run, data: Path, scratch: Path) -> dict[str, runs.Summary]:
    """Read a table as the run's source was, with the run's label set; what each stage did."""
    project = run.project.model_copy(update={"source": source_of(run.project.source, data)})
    for name in (INGEST, CLASSES, LABELS):
        (scratch / name).mkdir()
    return {
        INGEST: deid.read(deid.reading_of(project), data, scratch / INGEST),
        CLASSES: labels.aggregate(run.project.labels, scratch / INGEST, scratch / CLASSES),
        LABELS: labels.conform(run.label_set, scratch / CLASSES, scratch / LABELS),
    }


def _name(run: Run) -> str:
    """The model, with the settings that the project file gives it."""
    model = run.project.model
    given = ", ".join(f"{key} = {value}" for key, value in model.settings().items())
    return f"{model.name} ({given})" if given else model.name


def _context(
    run: Run, others: tuple[OtherModel, ...], read: Mapping[str, runs.Summary]
) -> ReportContext:
    """What the report shows beside the scores; another table has no part in the run's split."""
    about = runs.read_json(run.folder / training.PREPARED)
    stages = {name: asdict(summary) for name, summary in read.items()} or about["stages"]
    return ReportContext(
        title=run.project.name,
        language=run.project.language,
        model=_name(run),
        others=others,
        split=None if read else about["split"],
        label_counts=about["counts"],
        history=runs.read_json(run.folder / training.HISTORY),
        lengths=LengthHistogram(**about["lengths"]),
        rejects={name: summary["rejected"] for name, summary in stages.items()},
        rows_read=stages[INGEST]["rows_in"],
        configuration=config.dump(run.project),
        governance=run.project.governance.public(),
        facts={
            "seed": run.project.seed,
            "data": run.facts["data"],
            "augmentation": run.augmentation(),
            **runs.environment(),
        },
    )


def compare(first: Path, second: Path, today: dt.date | None = None) -> Comparison:
    """The paired difference of two runs on the test records that they share.

    Raises:
        ConfigError: a data-use record is over on ``today`` (absent: this machine's day).
        InputError: the runs were not measured on the same records.
    """
    return evaluation.compare(training.load(first, today), training.load(second, today))

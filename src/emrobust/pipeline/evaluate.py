"""From run folders to metrics, comparison and report."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from emrobust import config, ingest, labels, records, runs
from emrobust.evaluate import Comparison, Evaluation
from emrobust.evaluate import run as evaluation
from emrobust.pipeline.prepare import CLASSES, INGEST, LABELS
from emrobust.report import LengthHistogram, OtherModel, ReportContext, write_report
from emrobust.train import run as training
from emrobust.train.run import Run

METRICS = "metrics.json"
REPORT = "report.html"


def evaluate(
    folder: Path, out: Path, data: Path | None = None, baselines: Sequence[Path] = ()
) -> Evaluation:
    """Measure a run, write ``metrics.json`` and ``report.html``.

    Args:
        folder: the run.
        out: where to write.
        data: another table, read as the run's source was; its own test split otherwise.
        baselines: runs to show beside it, measured on the same records.

    Raises:
        InputError: the table does not fit the run.
        RunError: a folder is not a finished run.
    """
    run = training.load(folder)
    others = [training.load(baseline) for baseline in baselines]
    with tempfile.TemporaryDirectory() as scratch:
        at = None if data is None else _records_of(run, data, Path(scratch))
        measured = evaluation.evaluate(run, at)
        beside = [OtherModel(_name(other), *evaluation.beside(other, run, at)) for other in others]
    runs.write_json(out / METRICS, measured.to_json())
    write_report(out / REPORT, measured, _context(run, tuple(beside)))
    return measured


def _records_of(run: Run, data: Path, scratch: Path) -> Path:
    """Records with the run's labels, from a table or a prepared folder."""
    if (data / LABELS / records.FILE).is_file():
        return data / LABELS
    source = run.project.source.model_copy(update={"path": data, "url": None, "query": None})
    for name in (INGEST, CLASSES, LABELS):
        (scratch / name).mkdir()
    ingest.ingest(source, data, scratch / INGEST)
    labels.aggregate(run.project.labels, scratch / INGEST, scratch / CLASSES)
    labels.conform(run.label_set, scratch / CLASSES, scratch / LABELS)
    return scratch / LABELS


def _name(run: Run) -> str:
    return run.project.model.name


def _context(run: Run, others: tuple[OtherModel, ...]) -> ReportContext:
    about = runs.read_json(run.folder / training.PREPARED)
    stages = {name: summary["rejected"] for name, summary in about["stages"].items()}
    return ReportContext(
        title=run.project.name,
        language=run.project.language,
        model=_name(run),
        others=others,
        split=about["split"],
        label_counts=about["counts"],
        history=runs.read_json(run.folder / training.HISTORY),
        lengths=LengthHistogram(**about["lengths"]),
        rejects=stages,
        rows_read=about["stages"][INGEST]["rows_in"],
        configuration=config.dump(run.project),
        facts={"seed": run.project.seed, "data": run.facts["data"], **runs.environment()},
    )


def compare(first: Path, second: Path) -> Comparison:
    """The paired difference of two runs on the test records that they share.

    Raises:
        InputError: the runs were not measured on the same records.
    """
    return evaluation.compare(training.load(first), training.load(second))

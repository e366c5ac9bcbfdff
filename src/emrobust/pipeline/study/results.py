"""The scores of a study's cells, and its tables."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emrobust import runs
from emrobust.evaluate import evaluation
from emrobust.evaluate import run as measuring
from emrobust.pipeline.study.cells import CELLS, Cell
from emrobust.pipeline.study.plan import Plan, Row, Table
from emrobust.train import run as training


@dataclass(frozen=True)
class RowResult:
    """What came of a row.

    Attributes:
        key: of the row.
        name: for readers.
        scores: measure → score of each seed.
        paper: measure → mean and standard deviation as printed, in percent.
        seconds: of training, the median over seeds; None where it has no loop.
        missing: why there are no scores.
    """

    key: str
    name: str
    scores: Mapping[str, Sequence[float]]
    paper: Mapping[str, Sequence[float]]
    seconds: float | None
    missing: str


@dataclass(frozen=True)
class Results:
    """A study's rows by key, and its tables."""

    title: str
    zh: str
    rows: Mapping[str, RowResult]
    tables: Sequence[Table]
    failed: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "title": self.title,
            "rows": {key: asdict(row) for key, row in self.rows.items()},
            "tables": [table.model_dump() for table in self.tables],
            "failed": dict(self.failed),
        }


def collect(
    study: Plan,
    cells: Sequence[Cell],
    missing: Mapping[str, str],
    failed: Mapping[str, str],
    out: Path,
) -> Results:
    """Measure every finished cell.

    Args:
        study: the rows and tables.
        cells: all of them.
        missing: row → why it has no cell.
        failed: cell → why it has no run.
        out: the study's folder.
    """
    rows = {}
    for row in study.rows:
        own = [cell for cell in cells if cell.row.key == row.key]
        rows[row.key] = _measure(row, own, missing.get(row.key, ""), failed, out)
    return Results(study.title, study.zh, rows, study.tables, failed)


def _measure(
    row: Row, cells: Sequence[Cell], missing: str, failed: Mapping[str, str], out: Path
) -> RowResult:
    scores: dict[str, list[float]] = {}
    seconds: list[float] = []
    for cell in cells:
        if cell.name in failed:
            missing = failed[cell.name]
            continue
        run = training.load(out / CELLS / cell.name)
        measured = measuring.read(run)
        for key, value in evaluation.overall(
            measured.predictions, run.project.evaluate.bins
        ).items():
            scores.setdefault(key, []).append(value)
        history = runs.read_json(run.folder / training.HISTORY)
        seconds += [history[-1]["seconds"]] if history else []
    spent = statistics.median(seconds) if seconds else None
    return RowResult(row.key, row.name, scores, row.paper, spent, missing)


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation, in percent."""
    mean = 100 * statistics.mean(values)
    return (
        f"{mean:.1f} ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else f"{mean:.1f}"
    )


def printed(values: Sequence[float]) -> str:
    """The paper's number as it prints it."""
    return " ± ".join(f"{value:g}" for value in values)


def markdown(found: Results) -> str:
    """The tables, ours beside the paper's."""
    parts = [f"# {found.title}"]
    for table in found.tables:
        parts.append(f"\n## {table.en}\n")
        head = [f"{measure} | paper" for measure in table.measures]
        parts.append(f"| Row | {' | '.join(head)} |")
        parts.append("|---|" + "---|---|" * len(table.measures))
        parts += [_line(found.rows[key], table) for key in table.rows]
        parts += [
            f"\n- {found.rows[key].name}: {found.rows[key].missing}."
            for key in table.rows
            if found.rows[key].missing
        ]
    return "\n".join(parts) + "\n"


def _line(row: RowResult, table: Table) -> str:
    cells = []
    for measure in table.measures:
        ours = row.scores.get(measure)
        cells.append(spread(ours) if ours else "not available")
        cells.append(printed(row.paper[measure]) if measure in row.paper else "")
    return f"| {row.name} | {' | '.join(cells)} |"

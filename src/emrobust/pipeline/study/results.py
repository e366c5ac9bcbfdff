"""The scores of a study's cells: on the test split, under noise, and against each other."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emrobust import progress, records, runs
from emrobust.config import Project
from emrobust.errors import RunError
from emrobust.evaluate import evaluation, intervals, metrics, significance, suites
from emrobust.evaluate import run as measuring
from emrobust.evaluate.predictions import Predictions
from emrobust.evaluate.significance import Claim, Scored
from emrobust.pipeline.prepare import LABELS
from emrobust.pipeline.study.cells import CELLS, DATA, Cell
from emrobust.pipeline.study.plan import Plan, Row, Table
from emrobust.train import run as training
from emrobust.train.run import Run

MEASURED = "measured"
SUITES = "suites"
# The suite with the kinds of noise that the seed's test set has.
NOISE = "noise-paper"
LEVEL = 0.05
COMPARED = ("macro_f1", "micro_f1", "pr_auc_macro", "ece")
UNDER_NOISE = ("noise_macro_f1", "noise_micro_f1", "drop")


@dataclass(frozen=True)
class RowResult:
    """What came of a row.

    Attributes:
        key: of the row.
        name: for readers.
        base: key of the row it is measured against.
        scores: measure → score of each seed; ``noise_macro_f1`` and ``drop`` are those of the
            suite `NOISE`, ``clean_macro_f1`` of the same records as they were written (both over
            labels with a case), ``ece_calibrated`` with the calibrator fitted on validation rows.
        paper: measure → mean and standard deviation as printed, in percent.
        seconds: of training, the median over seeds; None where it has no loop.
        missing: why there are no scores.
    """

    key: str
    name: str
    base: str | None
    scores: Mapping[str, Sequence[float]]
    paper: Mapping[str, Sequence[float]]
    seconds: float | None
    missing: str


@dataclass(frozen=True)
class Results:
    """A study's rows by key, its tables, and what its differences are worth.

    Attributes:
        title, zh: of the study.
        base: name of the arm that the others are compared with.
        about: facts: records, seeds, seed, environment.
        rows: by key.
        tables: which rows are shown where.
        claims: each row against its base, p-values corrected over the whole study.
        failed: cell → why.
    """

    title: str
    zh: str
    base: str
    about: Mapping[str, Any]
    rows: Mapping[str, RowResult]
    tables: Sequence[Table]
    claims: Sequence[Claim]
    failed: Mapping[str, str]

    def claim(self, row: str, measure: str) -> Claim | None:
        """The difference of a row to its base."""
        found = (c for c in self.claims if (c.second, c.measure) == (row, measure))
        return next(found, None)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = asdict(self)
        plain["tables"] = [table.model_dump() for table in self.tables]
        return plain


def collect(
    study: Plan,
    project: Project,
    cells: Sequence[Cell],
    trouble: tuple[Mapping[str, str], Mapping[str, str]],
    out: Path,
    *,
    quick: bool = False,
) -> Results:
    """Measure every finished cell and compare the rows.

    Args:
        study: the rows and tables.
        project: the study's own: its seed, language and settings of evaluation.
        cells: all of them.
        trouble: row → why it has no cells; cell → why it has no run.
        out: the study's folder.
        quick: the study was made to see that it runs; its page says so.
    """
    missing, failed = trouble[0], dict(trouble[1])
    data = out / DATA
    noise = _noise(project, data, out)
    done = [cell for cell in cells if cell.name not in failed]
    measured: dict[str, list[Measured]] = {}
    with progress.track("measuring the study", len(done), "cells") as advance:
        for cell in done:
            try:
                run = training.load(out / CELLS / cell.name)
            except RunError as error:  # of another version, or changed since
                failed[cell.name] = error.message
            else:
                own = measured.setdefault(cell.row.key, [])
                own.append(_cell(run, noise, project, out / MEASURED))
            advance(1)
    rows = {
        row.key: _row(row, measured.get(row.key, []), _why(row, cells, missing, failed))
        for row in study.rows
    }
    about = {
        "data": runs.checksum(data / LABELS / records.FILE),
        "seeds": len({cell.seed for cell in cells}),
        "quick": quick,
        "level": LEVEL,
        "confidence": project.evaluate.confidence,
        **runs.environment(),
    }
    claims = _claims(study, project, measured)
    base = study.base
    return Results(study.title, study.zh, base, about, rows, study.tables, claims, failed)


def _why(
    row: Row, cells: Sequence[Cell], missing: Mapping[str, str], failed: Mapping[str, str]
) -> str:
    own = [failed[cell.name] for cell in cells if cell.row == row and cell.name in failed]
    return missing.get(row.key, "") or "; ".join(sorted(set(own)))


def _noise(project: Project, data: Path, out: Path) -> suites.Suite:
    """The suite that every cell reads, written once: all test records, noisy.

    A part of them has too few cases of rare labels: drops of one recipe on 2,000 visits ranged
    over ten points by seed (dev/log.md).
    """
    wanted = suites.Settings(
        seed=project.seed, language=project.language, records=None, kinds=("noise",)
    )
    place = out / SUITES / suites.WRITTEN
    runs.run_stage(suites.write, wanted, data / LABELS, place)
    return next(suite for suite in suites.find(out / SUITES) if suite.name == NOISE)


class Measured(NamedTuple):
    """A cell's scores, and those that are compared in the study's draws of patients."""

    scores: Mapping[str, float]
    draws: Mapping[str, Sequence[float]]

    def scored(self, measure: str) -> Scored:
        """A score with its draws."""
        return Scored(self.scores[measure], np.asarray(self.draws[measure]))


def _cell(run: Run, noise: suites.Suite, project: Project, place: Path) -> Measured:
    """A cell's scores, kept beside it under the checksums of what they were measured on."""
    file = place / f"{run.folder.name}.json"
    facts = {
        "run": runs.checksum(run.folder / runs.MANIFEST),
        "noise": runs.checksum(noise.path),
        "draws": [project.evaluate.bootstrap, project.seed],
        "compared": [*COMPARED, *UNDER_NOISE],
    }
    kept = runs.read_json(file) if file.is_file() else {}
    if kept.get("facts") != facts:
        kept = {"facts": facts, **_score(run, noise, project)._asdict()}
        runs.write_json(file, kept)
    return Measured(kept["scores"], kept["draws"])


def _score(run: Run, noise: suites.Suite, project: Project) -> Measured:
    settings = run.project.evaluate
    standard = measuring.read(run)
    scores = evaluation.overall(standard.predictions, settings.bins)
    calibrated = measuring.read(run, calibrator=measuring.calibrator_of(run))
    scores["ece_calibrated"] = evaluation.overall(calibrated.predictions, settings.bins)["ece"]
    noisy = measuring.predict(run, noise.path)
    sides = suites.align(
        noise.name,
        (noisy.record_id, noisy.predictions),
        (standard.record_id, standard.predictions),
    )
    once = settings.model_copy(update={"bootstrap": 0})
    suite = suites.compare(noise.name, noise.kind, *sides, settings=once, seed=run.project.seed)
    scores["clean_macro_f1"] = suite.standard["macro_f1"]
    scores["noise_macro_f1"] = suite.suite["macro_f1"]
    scores["noise_micro_f1"] = suite.suite["micro_f1"]
    if suite.drop["macro_f1"] is not None:
        scores["drop"] = suite.drop["macro_f1"]
    history = runs.read_json(run.folder / training.HISTORY)
    if history and "seconds" in history[-1]:
        scores["seconds"] = history[-1]["seconds"]
    draws = _draw(standard.predictions, project)
    return Measured(scores, draws | _draw_noise(sides, project) if suite.labels else draws)


def _draw(of: Predictions, project: Project) -> dict[str, list[float]]:
    """Scores on the test records, draw by draw."""
    given = project.evaluate
    drawn = intervals.resample(of, resamples=given.bootstrap, seed=project.seed, bins=given.bins)
    return {name: drawn.scores[name].tolist() for name in COMPARED}


def _draw_noise(sides: tuple[Predictions, Predictions], project: Project) -> dict[str, list[float]]:
    """Scores on the noisy records, and the drop from the same as they were written."""
    clean, noisy = suites.draw(sides, project.evaluate, project.seed)
    drop = metrics.ratio(clean["macro_f1"] - noisy["macro_f1"], clean["macro_f1"])
    return {
        "noise_macro_f1": noisy["macro_f1"].tolist(),
        "noise_micro_f1": noisy["micro_f1"].tolist(),
        "drop": drop.tolist(),
    }


def _row(row: Row, found: Sequence[Measured], missing: str) -> RowResult:
    names = dict.fromkeys(name for cell in found for name in cell.scores)
    scores = {name: [of.scores[name] for of in found if name in of.scores] for name in names}
    seconds = scores.pop("seconds", None)
    spent = statistics.median(seconds) if seconds else None
    return RowResult(row.key, row.name, row.base, scores, row.paper, spent, missing)


def _claims(
    study: Plan, project: Project, measured: Mapping[str, Sequence[Measured]]
) -> tuple[Claim, ...]:
    """Each row with enough seeds against its base; one Holm correction over all of them."""
    raw: list[Claim] = []
    for row in study.rows:
        if row.base and min(len(measured.get(key, ())) for key in (row.base, row.key)) > 1:
            raw += _compare((row.base, row.key), project, measured)
    return significance.correct(raw, LEVEL)


def _compare(
    names: tuple[str, str], project: Project, measured: Mapping[str, Sequence[Measured]]
) -> list[Claim]:
    """The differences of what every cell of both has a score of."""
    both = [cell for name in names for cell in measured[name]]
    return [
        significance.contrast(
            names,
            measure,
            [cell.scored(measure) for cell in measured[names[0]]],
            [cell.scored(measure) for cell in measured[names[1]]],
            project.evaluate,
        )
        for measure in (*COMPARED, *UNDER_NOISE)
        if all(measure in cell.draws and measure in cell.scores for cell in both)
    ]

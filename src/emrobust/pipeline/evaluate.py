"""From run folders to metrics, comparison and report."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from emrobust import config, ingest, labels, rejects, runs
from emrobust.errors import InputError
from emrobust.evaluate import Comparison, Evaluation, evidence
from emrobust.evaluate import run as evaluation
from emrobust.evaluate.run import Measured
from emrobust.evaluate.significance import Significance, compare_recipes
from emrobust.pipeline import deid, material
from emrobust.pipeline.prepare import CLASSES, INGEST, LABELS
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
        data: another table, read as the run's source was; or the run's prepared folder, where
            it was moved; absent: the run's own test split.
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
    others, broken = _load_others(baselines, today)
    with tempfile.TemporaryDirectory() as scratch:
        own = data is None or material.is_prepared(data)
        prepared = material.find_prepared(run, data) if own else None
        read = {} if own or data is None else _read(run, data, Path(scratch))
        at = None if own else Path(scratch) / LABELS
        calibrator = evaluation.calibrator_of(run)
        of_run = evaluation.read(run, at, calibrator=calibrator)
        try:
            best = evaluation.ceiling(run, of_run)
        except InputError as error:
            best, broken["ceiling"] = None, str(error)
        measured = evaluation.assess(run, of_run, best)
        beside, apart = _beside(run, others, at)
        usable = [other for other in others if other.folder not in apart]
        found = evidence.collect(
            material.gather(
                run, of_run, calibrator, scratch=Path(scratch), at=at, prepared=prepared
            )
        )
        for name in read:
            runs.write_text(
                out / f"rejects-{name}.csv", (Path(scratch) / name / rejects.FILE).read_text()
            )
        found = _with_seeds(found, run, of_run, usable, at)
    broken |= {f"baseline {folder.name}": why for folder, why in apart.items()}
    found = replace(found, missing={**found.missing, **broken})
    runs.write_json(out / METRICS, {**measured.to_json(), "evidence": found.to_json()})
    context = replace(_context(run, beside, read, found), attacks=_attacks(out, run))
    write_report(out / REPORT, measured, context)
    return measured, read


def _attacks(out: Path, run: Run) -> Mapping[str, Any] | None:
    """What `emrobust attack` wrote into the same folder, if it was of this very run."""
    path = out / material.ATTACKS
    if not path.is_file():
        return None
    found: Mapping[str, Any] = runs.read_json(path)
    same = found.get("model") == runs.checksum(run.folder / runs.MANIFEST)
    return found if same else None


def _load_others(
    baselines: Sequence[Path], today: dt.date | None
) -> tuple[list[Run], dict[str, str]]:
    """The runs to show beside, and why some cannot be; the report appears without them."""
    others, broken = [], {}
    for folder in baselines:
        try:
            others.append(training.load(folder, today))
        except InputError as error:
            broken[f"baseline {folder.name}"] = str(error)
    return others, broken


def _beside(
    run: Run, others: Sequence[Run], at: Path | None
) -> tuple[tuple[OtherModel, ...], dict[Path, str]]:
    """The others' scores on the same records, and why some folders have none."""
    shown, apart = [], {}
    for other in others:
        try:
            shown.append(OtherModel(_name(other), *evaluation.beside(other, run, at)))
        except InputError as error:
            apart[other.folder] = str(error)
    return tuple(shown), apart


def _with_seeds(
    found: evidence.Evidence, run: Run, of_run: Measured, others: Sequence[Run], at: Path | None
) -> evidence.Evidence:
    """Runs that differ in nothing but the seed are one recipe: mean, spread and claims."""
    if not others:
        return found
    try:
        measured = [
            (other, evaluation.read(other, at, calibrator=evaluation.calibrator_of(other)))
            for other in others
        ]
        said = _recipes([*measured, (run, of_run)], run.project)
    except InputError as error:
        return replace(found, missing={**found.missing, "significance": str(error)})
    return replace(found, significance=said)


def _recipes(measured: Sequence[tuple[Run, Measured]], project: config.Project) -> Significance:
    """The last run's recipe against every other's; a copy of a run is no other seed."""
    measured = list({(_recipe(run), run.project.seed): (run, of) for run, of in measured}.values())
    aligned = evaluation.align([of for _, of in measured])
    keys = [_recipe(run) for run, _ in measured]
    order = [key for key in dict.fromkeys(keys) if key != keys[-1]] + [keys[-1]]
    names = _distinct([_name(measured[keys.index(key)][0]) for key in order])
    return compare_recipes(
        {
            name: [of for key, of in zip(keys, aligned, strict=True) if key == wanted]
            for name, wanted in zip(names, order, strict=True)
        },
        settings=project.evaluate,
        seed=project.seed,
    )


def _recipe(run: Run) -> str:
    """What two runs share that differ in nothing but the seed."""
    plain = run.project.public()
    return json.dumps({k: v for k, v in plain.items() if k != "seed"}, sort_keys=True)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, numbered where two are the same."""
    return [
        name if names.count(name) == 1 else f"{name} #{place + 1}"
        for place, name in enumerate(names)
    ]


def _read(run: Run, data: Path, scratch: Path) -> dict[str, runs.Summary]:
    """Read a table as the run's source was, with the run's label set; what each stage did."""
    project = run.project.model_copy(update={"source": ingest.source_of(run.project.source, data)})
    for name in (INGEST, CLASSES, LABELS):
        (scratch / name).mkdir()
    own = run.project.labels
    return {
        INGEST: deid.read(deid.reading_of(project), data, scratch / INGEST),
        CLASSES: labels.aggregate(own, scratch / INGEST, scratch / CLASSES, to_learn=False),
        LABELS: labels.conform(run.label_set, scratch / CLASSES, scratch / LABELS),
    }


def _name(run: Run) -> str:
    """The model, with the settings that the project file gives it."""
    model = run.project.model
    given = ", ".join(f"{key} = {value}" for key, value in model.settings().items())
    return f"{model.name} ({given})" if given else model.name


def _context(
    run: Run,
    others: tuple[OtherModel, ...],
    read: Mapping[str, runs.Summary],
    found: evidence.Evidence,
) -> ReportContext:
    """What the report shows beside the scores; another table has no part in the run's split."""
    about = runs.read_json(run.folder / training.PREPARED)
    stages = {name: asdict(summary) for name, summary in read.items()} or about["stages"]
    return ReportContext(
        title=run.project.name,
        language=run.project.language,
        titles=run.label_set.titles_in(run.project.language),
        model=_name(run),
        others=others,
        split=None if read else about["split"],
        label_counts=about["counts"],
        history=runs.read_json(run.folder / training.HISTORY),
        lengths=LengthHistogram(**about["lengths"]),
        rejects={name: summary["rejected"] for name, summary in stages.items()},
        rows_read=stages[INGEST]["rows_in"],
        configuration=config.dump(run.project),
        evidence=found,
        governance=run.project.governance.public(),
        facts={
            "seed": run.project.seed,
            "data": run.facts["data"],
            "augmentation": run.augmentation(),
            **runs.environment(),
        },
    )


def lines_of_comparison(folders: Sequence[Path]) -> list[str]:
    """What `emrobust compare` says of two runs, or of several recipes with their seeds.

    Raises:
        InputError: fewer than two runs, or runs that were not measured on the same records.
    """
    if len(folders) < 2:
        raise InputError("a comparison needs two runs", "Give two run folders, or more.")
    if len(folders) > 2:
        return compare_seeds(folders).lines()
    few = (
        "  two trained models, one seed each: no claim about their recipes "
        "(give runs of several seeds for one)"
    )
    return [*compare(folders[0], folders[1]).lines(), few]


def compare_seeds(folders: Sequence[Path], today: dt.date | None = None) -> Significance:
    """Runs of several recipes and seeds: the last one's recipe against every other's.

    Runs that differ in nothing but the seed are one recipe.

    Raises:
        ConfigError: a data-use record is over on ``today`` (absent: this machine's day).
        InputError: the runs were not measured on the same records.
    """
    loaded = [training.load(folder, today) for folder in folders]
    measured = [
        (run, evaluation.read(run, calibrator=evaluation.calibrator_of(run))) for run in loaded
    ]
    return _recipes(measured, loaded[-1].project)


def compare(first: Path, second: Path, today: dt.date | None = None) -> Comparison:
    """The paired difference of two runs on the test records that they share.

    Raises:
        ConfigError: a data-use record is over on ``today`` (absent: this machine's day).
        InputError: the runs were not measured on the same records.
    """
    return evaluation.compare(training.load(first, today), training.load(second, today))

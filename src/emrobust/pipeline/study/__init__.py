"""Studies: many recipes, several seeds, one page that compares them.

cells/      a run folder for each row and seed
projects/   what each of them was trained with
logs/       what each of them said
clinic/     the made-up hospital, where no project was given
data/       the prepared records that all cells share
study.json  every score, and what the differences are worth
measured/   their scores
suites/     the noisy texts that all of them read
study.md    the tables, ours beside the paper's
study.html  the same to look at
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from emrobust import clinic, config, runs
from emrobust.config import Project
from emrobust.errors import ConfigError, InputError
from emrobust.evaluate import significance
from emrobust.pipeline.prepare import prepare
from emrobust.pipeline.study import cells, plan, results
from emrobust.pipeline.study.results import Results
from emrobust.report import study_page

CLINIC = "clinic"
JSON = "study.json"
MARKDOWN = "study.md"
PAGE = "study.html"
# What a quick study changes: enough to run every part, far too little to learn anything from.
# Small batches, so that adversaries begin before it ends.
_QUICK_RECORDS = 1200
_QUICK_SEEDS = 2
_QUICK = {"train": {"epochs": 1, "batch_size": 8}, "evaluate": {"bootstrap": 200}}


class Size(NamedTuple):
    """How large a study is.

    Attributes:
        records: visits of the clinic.
        seeds: repetitions of every row.
        parallel: processes that train at a time; absent: one, and in a quick study one for each
            processor, since so little work gains nothing from a second thread.
        only: keys of the rows; empty: all.
        quick: to see whether everything runs, not what is best.
    """

    records: int = 20_000
    seeds: int = 5
    parallel: int | None = None
    only: tuple[str, ...] = ()
    quick: bool = False


def run(
    name: str,
    out: Path,
    project_file: Path | None = None,
    overrides: Sequence[str] = (),
    size: Size | None = None,
) -> Results:
    """Train what is missing of a study and write its tables; nothing is computed twice.

    Args:
        name: of a study in the package, or its TOML file.
        out: where it lies.
        project_file: on whose records; absent: on a made-up clinic in ``out``.
        overrides: ``section.key=value``, over the project's and the rows' settings.
        size: seeds, processes and so on; absent: the defaults.

    Raises:
        ConfigError: no such study or row, wrong settings, or no resampling.
        InputError: the source is wrong, or fewer than two seeds are asked for.
    """
    size = size or Size()
    records = _QUICK_RECORDS if size.quick else size.records
    seeds = min(size.seeds, _QUICK_SEEDS) if size.quick else size.seeds
    if seeds < 2:
        raise InputError(
            "a study needs two seeds at least: one says nothing about luck", "Give --seeds 5."
        )
    given = config.nest(overrides)
    over = plan.merge(_QUICK, given) if size.quick else given
    project = _project(project_file, out, records, overrides)
    if project.evaluate.bootstrap < significance.LEAST_DRAWS:
        raise ConfigError(
            "a study judges differences by resampling patients, and `evaluate.bootstrap` is "
            f"{project.evaluate.bootstrap}",
            "Leave it out, or give 1000.",
        )
    if project.split.folds:
        raise ConfigError(
            "a study measures every training on the same test records, and `split.folds` has no"
            " test split",
            "Leave it out of the project file.",
        )
    study = plan.read(name, project, size.only)
    laid, missing = cells.lay_out(study, project, seeds, over)
    prepare(project, out / cells.DATA)
    usual = cells.processors() if size.quick else 1
    failed = cells.train(laid, out, size.parallel or usual)
    found = results.collect(study, project, laid, (missing, failed), out, quick=size.quick)
    facts = found.to_json()
    runs.write_json(out / JSON, facts)
    runs.write_text(out / MARKDOWN, study_page.markdown(facts))
    runs.write_text(out / PAGE, study_page.html(facts, project.language))
    return found


def _project(file: Path | None, out: Path, records: int, overrides: Sequence[str]) -> Project:
    if file is not None:
        return config.load(file, overrides)
    folder, seed = out / CLINIC, config.DEFAULT_SEED
    if not clinic.is_made(folder, records, seed):
        clinic.generate(folder, records, seed, formats=("sqlite",))
    return config.load(folder / clinic.PROJECT, overrides)

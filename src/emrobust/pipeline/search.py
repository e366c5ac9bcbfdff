"""Search for settings by trials, in a folder that is gone on with after ``kill -9``.

search.sqlite  optuna's storage: every trial, with its settings and score
search.json    the same for readers, with the space and the best trial
search.svg     scores by trial
best.toml      the project with the best settings, ready for `emrobust train`
trials/        checkpoints of the trial that runs
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from emrobust import config, progress, records, rng, runs
from emrobust.augment.cache import key
from emrobust.config import Project
from emrobust.errors import EmrobustError, InputError, RunError, StorageError
from emrobust.labels import LabelSet, read_label_set
from emrobust.lock import alone
from emrobust.pipeline import governance
from emrobust.pipeline.prepare import LABELS
from emrobust.pipeline.train import find_data
from emrobust.report import plot
from emrobust.train import estimators
from emrobust.train import run as training
from emrobust.train.run import Rows
from emrobust.train.search import Setting, change, find_space, score

STORAGE, FOUND, PLOT, BEST, TRIALS = (
    "search.sqlite", "search.json", "search.svg", "best.toml", "trials",
)  # fmt: skip
# Trials before the sampler (TPE, Bergstra et al. 2011) begins to learn from scores.
_RANDOM = 8


class Found(NamedTuple):
    """What a search has found.

    Attributes:
        macro_f1: of the best trial, on validation rows.
        settings: its settings by key.
        trials: how many were run.
        own: macro-F1 of the project as it was given; None if that trial failed.
    """

    macro_f1: float
    settings: dict[str, Any]
    trials: int
    own: float | None


class _Search(NamedTuple):
    project: Project
    label_set: LabelSet
    parts: Mapping[str, Rows]
    space: list[Setting]
    study: optuna.Study
    out: Path
    cache: Path


def search(project: Project, out: Path, trials: int, data: Path | None = None) -> Found:
    """Run trials until there are so many in all; the first has the project's own settings.

    Raises:
        ConfigError: the project cannot be searched.
        RunError: the folder holds a run, or a search of another project or of other data, or
            another process works in it.
        EmrobustError: no trial came to its end.
    """
    governance.check(project)
    estimators.build(project, ())
    space = find_space(project)
    if (out / runs.MANIFEST).is_file():
        raise RunError(f"{out} holds a finished run", "Give another folder with --out.")
    with alone(out):
        return _run(project, out, trials, data, space)


def _run(
    project: Project, out: Path, trials: int, data: Path | None, space: list[Setting]
) -> Found:
    prepared = find_data(project, out, data)
    rows = training.read_rows(prepared / LABELS / records.FILE)
    facts = {
        **training.facts_of(project),
        "data": runs.checksum(prepared / LABELS / records.FILE),
    }
    label_set = read_label_set(prepared / LABELS / training.LABELS)
    parts = {
        name: rows.take([k for k, split in enumerate(rows.split) if split == name])
        for name in ("train", "validation")
    }
    study = _open(out, facts)
    given = _Search(project, label_set, parts, space, study, out, prepared / training.CACHE)
    _take_back(given)
    with progress.track("searching", trials, "trials") as advance:
        advance(len(_done(study)))
        while len(_done(study)) < trials:
            _try(given)
            _write(given)
            advance(1)
    _write(given)
    return _summary(given)


def _open(out: Path, facts: dict[str, Any]) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with runs.storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    try:
        study = optuna.create_study(
            storage=optuna.storages.RDBStorage(f"sqlite:///{(out / STORAGE).absolute()}"),
            study_name="search",
            direction="maximize",
            load_if_exists=True,
        )
    except optuna.exceptions.StorageInternalError:
        raise StorageError(
            f"{out / STORAGE} cannot be written or read", "Free some space, or delete it."
        ) from None
    now = json.dumps(facts, sort_keys=True)
    found = json.loads(study.user_attrs.get("facts", now))
    if difference := training.differs(found, facts):
        raise RunError(
            f"{out} holds a search with {difference}",
            "Give another folder with --out, or delete this one if it is not needed.",
        )
    study.set_user_attr("facts", now)
    return study


def _done(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _take_back(given: _Search) -> None:
    """Queue again what a killed process was at; its checkpoint lies under the settings' name."""
    study = given.study
    trials = study.get_trials(deepcopy=False)
    for trial in trials:
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params, skip_if_exists=False)
    if not trials:
        study.enqueue_trial({setting.key: setting.own for setting in given.space})


def _try(given: _Search) -> None:
    """One trial; where its training fails it counts, without a score."""
    study = given.study
    # Reseeded by the trial's number, so that a search that was killed goes on as it would have.
    finished = len(_done(study))
    study.sampler = optuna.samplers.TPESampler(
        n_startup_trials=_RANDOM, seed=rng.derive(given.project.seed, "search", finished) % 2**32
    )
    trial = study.ask({setting.key: _distribution(setting) for setting in given.space})
    try:
        study.tell(trial, _train(given, trial.params))
    except InputError:
        raise
    except EmrobustError as error:
        trial.set_user_attr("failed", error.message)
        study.tell(trial, state=TrialState.PRUNED)


def _train(given: _Search, values: dict[str, Any]) -> float:
    project = training.with_cache(change(given.project, values), given.cache)
    model = estimators.build(project, given.label_set.names)
    rows, held = given.parts["train"], given.parts["validation"]
    checkpoints = given.out / TRIALS / key(json.dumps(values, sort_keys=True))
    model.fit(
        rows.texts,
        training.targets(given.label_set, rows),
        validation=(held.texts, training.targets(given.label_set, held)),
        checkpoints=checkpoints,
    )
    truth = records.indicator(held.labels, given.label_set.names)
    reached = score(project, truth, model.predict_proba(held.texts))
    shutil.rmtree(checkpoints, ignore_errors=True)
    return reached


def _distribution(setting: Setting) -> BaseDistribution:
    if setting.kind == "choice":
        return CategoricalDistribution(setting.choices)
    return FloatDistribution(setting.low, setting.high, log=setting.kind == "log")


def _summary(given: _Search) -> Found:
    done = _done(given.study)
    scored = [trial for trial in done if trial.value is not None]
    if not scored:
        raise EmrobustError(
            f"none of {len(done)} trials came to its end",
            f"{given.out / FOUND} says why; begin with a training that works.",
        )
    best = max(scored, key=lambda trial: (trial.value or 0.0, -trial.number))
    own = {setting.key: setting.own for setting in given.space}
    return Found(
        best.value or 0.0,
        best.params,
        len(done),
        next((trial.value for trial in scored if trial.params == own), None),
    )


def _write(given: _Search) -> None:
    """What has been found so far."""
    done = _done(given.study)
    trials = [
        {
            "number": number,
            "macro_f1": trial.value,
            "settings": trial.params,
            "seconds": trial.duration.total_seconds() if trial.duration else None,
            "failed": trial.user_attrs.get("failed"),
        }
        for number, trial in enumerate(done, start=1)
    ]
    space = [setting._asdict() for setting in given.space]
    try:
        best: dict[str, Any] | None = _summary(given)._asdict()
    except EmrobustError:
        best = None
    runs.write_json(given.out / FOUND, {"space": space, "trials": trials, "best": best})
    if best is not None:
        project = change(given.project, best["settings"])
        runs.write_text(given.out / BEST, config.dump(project))
        runs.write_text(given.out / PLOT, draw([trial.value for trial in done]))


def draw(scores: list[float | None]) -> str:
    """Macro-F1 of each trial and the best so far, as SVG."""
    points = [(k, value) for k, value in enumerate(scores, start=1) if value is not None]
    values = [value for _, value in points]
    best = [max(values[: k + 1]) for k in range(len(values))]
    numbers = [float(k) for k, _ in points]
    panel = plot.Panel(
        plot.linear("trial", 0, len(scores)),
        plot.linear("macro-F1 on validation rows", min(values), max(values)),
    )
    parts = [plot.frame(panel), plot.line(panel, numbers, best, plot.GREEN)]
    parts += [
        plot.dot(*panel.at(x, y), plot.BLUE, tip=f"{x:.0f}: {y:.3f}")
        for x, y in zip(numbers, values, strict=True)
    ]
    marks: list[tuple[str, str, plot.Shape, bool]] = [
        ("trial", plot.BLUE, "circle", False), ("best so far", plot.GREEN, "line", False),
    ]  # fmt: skip
    parts.append(plot.legend(marks, panel.left))
    return plot.svg(
        parts,
        title="Search for settings",
        description="Macro-F1 of each trial on validation rows, and the best so far",
        height=panel.top + panel.height + 44,
    ).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)

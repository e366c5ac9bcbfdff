"""What a run folder knows of itself, in words, by the names that the card's sentences use."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from emrobust import runs
from emrobust.evaluate import Evaluation
from emrobust.report.words import Words
from emrobust.train import run as training
from emrobust.train.run import Run

_FEW = 10
_WEAKEST = 3


def gather(run: Run, evaluation: Evaluation, w: Words) -> dict[str, str]:
    """Name → words; a name whose fact is unknown is absent.

    Args:
        run: the run.
        evaluation: of its test records.
        w: the card's words.
    """
    about: dict[str, Any] = runs.read_json(run.folder / training.PREPARED)
    found = {
        **_project(run, w),
        **_data(about, w),
        **_classes(run, evaluation, w),
        **_training(run, w),
        **_scores(evaluation),
        "labels": f"{len(run.names):,}",
        "data": str(run.facts["data"])[:16],
    }
    return {name: value for name, value in found.items() if value}


def _project(run: Run, w: Words) -> dict[str, str]:
    project = run.project
    steps = project.normalize.model_dump(exclude={"tables", "typos_checkpoint"})
    governance = {key: str(value) for key, value in project.governance.public().items()}
    versions = runs.environment()
    return {
        **governance,
        "name": project.name,
        "task": w(project.labels.task),
        "deid": w("yes") if project.deid.enabled else w("no"),
        "label_kind": f"{project.labels.kind}, {_rule(run)}",
        "rare": project.labels.rare,
        "normalize": ", ".join(name for name, on in steps.items() if on) or w("none"),
        "label_columns": ", ".join(project.source.columns.labels),
        "text_columns": ", ".join(project.source.columns.text),
        "split_by": w(f"by_{project.split.by}"),
        "seed": str(project.seed),
        "bootstrap": f"{project.evaluate.bootstrap:,}",
        "thresholds": project.train.thresholds if project.labels.task == "multi" else "",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "version": versions.get("emrobust", ""),
    }


def _rule(run: Run) -> str:
    """The class table's name, or the level of the codes."""
    table = run.project.labels.table
    return table.name if table else run.project.labels.level


def _data(about: Mapping[str, Any], w: Words) -> dict[str, str]:
    stages: dict[str, Any] = about["stages"]
    first, last = next(iter(stages.values())), list(stages.values())[-1]
    split: dict[str, Any] = about["split"]
    leakage: dict[str, Any] = split.get("leakage", {})
    refused = {
        reason: rows for stage in stages.values() for reason, rows in stage["rejected"].items()
    }
    found = {
        "source": str(first["notes"].get("source", "")),
        "format": str(first["notes"].get("format", "")),
        "rows_in": f"{first['rows_in']:,}",
        "rows_out": f"{last['rows_out']:,}",
        "refused": ", ".join(f"{reason} {rows:,}" for reason, rows in refused.items()) or w("none"),
        "flow": ", ".join(
            f"{name} {stage['rows_in']:,} → {stage['rows_out']:,}" for name, stage in stages.items()
        ),
        "lengths": ", ".join(
            f"{name} {median:,.0f}" for name, median in about["lengths"]["medians"].items()
        ),
    }
    for what in ("rows", "patients"):
        for name, count in split.get(what, {}).items():
            if isinstance(count, int):
                found[f"{name}_{what}"] = f"{count:,}"
    named = {
        "identical": "identical_pairs",
        "near": "near_pairs",
        "crossing": "patients_in_two_splits",
    }
    return found | {
        name: f"{leakage[key]:,}" for name, key in named.items() if leakage.get(key) is not None
    }


def _classes(run: Run, evaluation: Evaluation, w: Words) -> dict[str, str]:
    counts = sorted(run.label_set.counts_train.items(), key=lambda item: -item[1])
    enough = [label for label in evaluation.per_label if label.support >= _FEW]
    weakest = sorted(enough, key=lambda label: label.f1)[:_WEAKEST]
    few = len(evaluation.per_label) - len(enough)
    return {
        "commonest": counts[0][0],
        "commonest_count": f"{counts[0][1]:,}",
        "rarest": counts[-1][0],
        "rarest_count": f"{counts[-1][1]:,}",
        "median_count": f"{statistics.median(count for _, count in counts):,.0f}",
        "weakest": ", ".join(f"{of.name} (F1 {of.f1:.2f}, n = {of.support})" for of in weakest)
        or w("none"),
        "few": f"{few:,}" if few else "",
    }


def _training(run: Run, w: Words) -> dict[str, str]:
    project = run.project
    given = project.model.settings()
    settings = ", ".join(f"{key} = {value}" for key, value in given.items())
    history: list[dict[str, Any]] = runs.read_json(run.folder / training.HISTORY)
    found = {"model": f"{project.model.name} ({settings})" if settings else project.model.name}
    calibration = run.folder / training.CALIBRATION
    if calibration.is_file():
        facts = runs.read_json(calibration)
        found["calibration"] = str(facts.get("name") or facts.get("calibrator") or w("yes"))
    else:
        found["calibration"] = w("none")
    if not history:
        return found
    train = project.train
    adversary = training.adversary_of(run.facts) or w("none")
    found |= {
        "training": f"epochs ≤ {train.epochs}, batch {train.batch_size}, adversary: {adversary}",
        "loss": train.loss.name if train.loss else "cross-entropy",
        "max_length": f"{train.max_length:,}",
        "augmentation": f"{project.augment.probability:g}" if project.augment.probability else "",
    }
    scored = [row for row in history if row.get("macro_f1") is not None and "fold" not in row]
    if scored:
        best = max(scored, key=lambda row: float(row["macro_f1"]))
        found |= {
            "epochs_run": str(len(scored)),
            "best_epoch": f"{best['epoch']:g}",
            "best_f1": f"{best['macro_f1']:.3f}",
        }
    return found


def _scores(evaluation: Evaluation) -> dict[str, str]:
    found = {"test_patients": f"{evaluation.patients:,}"}
    for name, value in evaluation.scores.items():
        bounds = evaluation.interval.get(name)
        spread = f" ({bounds[0]:.3f}–{bounds[1]:.3f})" if bounds else ""
        found[name] = f"{value:.3f}{spread}"
    return found

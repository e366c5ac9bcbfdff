"""What was measured of a model, for who looks at it in the clinic: scores, robustness, fairness.

Groups of few patients are left out, and no label's own counts are in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emrobust import runs
from emrobust.errors import ConfigError
from emrobust.evaluate import Evaluation

_REPORT = "metrics.json"  # as `emrobust evaluate` writes it
_SCORES = ("macro_f1", "micro_f1", "pr_auc_macro", "ece", "brier")


def summarise(found: Evaluation, report: Path | None, least: int) -> dict[str, Any]:
    """What the package tells of its test records.

    Args:
        found: the run's evaluation.
        report: a folder that `emrobust evaluate` wrote of the same run; absent: neither
            robustness nor groups are told.
        least: patients that a group must have.

    Raises:
        ConfigError: the report is of other records, or of another model.
    """
    told = {
        "records": found.n,
        "patients": found.patients,
        "scores": {key: found.scores[key] for key in _SCORES if key in found.scores},
        "interval": {key: list(found.interval[key]) for key in _SCORES if key in found.interval},
        "reliability": [
            {"stated": stated, "true": true, "count": count}
            for stated, true, count in zip(
                found.reliability.confidence,
                found.reliability.true,
                found.reliability.decisions,
                strict=True,
            )
            if count
        ],
    }
    return told if report is None else told | _of_report(report, found, least)


def _of_report(folder: Path, found: Evaluation, least: int) -> dict[str, Any]:
    metrics = runs.read_json(folder / _REPORT)
    same = metrics.get("n") == found.n and all(
        abs(metrics.get(key, -1) - found.scores[key]) < 1e-6 for key in ("macro_f1", "micro_f1")
    )
    if not same:
        raise ConfigError(
            f"{folder / _REPORT} was not measured on this run's test records",
            "Give the folder that `emrobust evaluate RUN --out FOLDER` wrote of the same run.",
        )
    evidence = metrics.get("evidence", {})
    groups = (evidence.get("fairness") or {}).get("groups", [])
    return {
        # The report's bootstrap may be the only one.
        "interval": {
            key: metrics["interval"][key] for key in _SCORES if key in metrics["interval"]
        },
        "suites": [_suite(suite) for suite in evidence.get("suites", {}).values()],
        "groups": [
            _group(group) for group in groups if group["judged"] and group["patients"] >= least
        ],
    }


def _suite(suite: Mapping[str, Any]) -> dict[str, Any]:
    """Micro-F1 on a suite's texts, and on the same records as they were."""
    return {
        "name": suite["name"],
        "kind": suite["kind"],
        "records": suite["n"],
        "standard": suite["standard"]["micro_f1"],
        "changed": suite["suite"]["micro_f1"],
    }


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    told = {key: group[key] for key in ("aspect", "value", "patients", "micro_f1", "gap")}
    bounds = group["gap_interval"]
    return told if bounds is None else {**told, "low": bounds[0], "high": bounds[1]}

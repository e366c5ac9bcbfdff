"""The report as one HTML file: styles, script and plots inside, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from emrobust import runs
from emrobust.evaluate import Evaluation
from emrobust.report import (
    attack_page,
    curve_figures,
    data_use,
    evidence_tables,
    label_figures,
    shell,
    tables,
    verdict,
)
from emrobust.report.context import ReportContext
from emrobust.report.words import Words


def write_report(path: Path, evaluation: Evaluation, context: ReportContext) -> None:
    """Write the report, all or nothing.

    Args:
        path: of the HTML file.
        evaluation: of the reported model.
        context: whatever else is known; parts that are missing leave no gap.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    runs.write_text(path, render(evaluation, context))


def render(evaluation: Evaluation, context: ReportContext) -> str:
    """The report's HTML."""
    words = Words(context.language)
    return shell.fill(
        "report.html.j2",
        script="table.js",
        w=words,
        e=evaluation,
        c=context,
        title=context.title or words("title"),
        **_prose(evaluation, context, words),
        **_tables(evaluation, context, words),
        **_figures(evaluation, context, words),
        **_evidence(context, words),
    )


def _prose(evaluation: Evaluation, context: ReportContext, words: Words) -> dict[str, Any]:
    return {
        "verdict": verdict.verdict(evaluation, context, words),
        "meaning": verdict.meaning(evaluation, context, words),
        "cautions": [
            *evidence_tables.cautions(context.evidence, context.language),
            *verdict.cautions(evaluation, context, words),
        ],
        "few_cases": verdict.FEW_CASES,
        "data_use": data_use.describe(context.governance, context.language),
    }


def _tables(evaluation: Evaluation, context: ReportContext, words: Words) -> dict[str, Any]:
    split = context.split or {}
    return {
        "cards": tables.cards(evaluation, words),
        "models": tables.models(evaluation, context, words),
        "measures": [words(measure) for measure in tables.measures(evaluation)],
        "labels": tables.labels(evaluation, context, words),
        "weakest": tables.weakest(evaluation),
        "confused": tables.confused(evaluation),
        "split_rows": tables.split_rows(split, words),
        "split_facts": tables.split_facts(split, words),
        "rejects": tables.rejects(context, words),
        "facts": list(tables.flatten(context.facts)),
    }


def _figures(evaluation: Evaluation, context: ReportContext, words: Words) -> dict[str, Any]:
    tail, left_out = label_figures.long_tail(_counts(evaluation, context), words)
    return {
        "long_tail": _safe(tail),
        "long_tail_left_out": left_out,
        "f1_by_support": _safe([label_figures.f1_by_support(evaluation, words)]),
        "precision_recall": _safe(
            [curve_figures.precision_recall(evaluation.precision_recall, words)]
        ),
        "reliability": _safe([curve_figures.reliability(evaluation.reliability, words)]),
        "learning": _safe(curve_figures.learning(context.history, words)),
        "lengths": _safe(
            [curve_figures.lengths(context.lengths, words)] if context.lengths else []
        ),
    }


def _evidence(context: ReportContext, words: Words) -> dict[str, Any]:
    shown = evidence_tables.present(context.evidence, context.language)
    before = (shown["calibration"] or {}).get("reliability")
    plots = [] if before is None else [curve_figures.reliability(before, words)]
    attacks = attack_page.present(context.attacks, context.language)
    return {**shown, "attacks": attacks, "reliability_before": _safe(plots)}


def _counts(evaluation: Evaluation, context: ReportContext) -> Mapping[str, Mapping[str, int]]:
    return context.counts() or {
        label.name: {"test": label.support} for label in evaluation.per_label
    }


def _safe(plots: Sequence[str]) -> list[Markup]:
    """Plots as markup: `plot` escapes every text that it is given."""
    return [Markup(of) for of in plots]  # noqa: S704 (escaped)

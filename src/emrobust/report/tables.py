"""The report's tables and cards: plain rows for the template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from emrobust.evaluate import Evaluation, LabelScore
from emrobust.records import SPLITS
from emrobust.report import label_figures
from emrobust.report.context import ReportContext
from emrobust.report.verdict import FEW_CASES
from emrobust.report.words import Words

_CARDS = ("macro_f1", "micro_f1", "accuracy", "pr_auc_macro", "ece", "brier")
_LEAKS = (
    "patients_in_two_splits",
    "identical_pairs",
    "identical_pairs_of_different_patients",
    "identical_texts",
    "near_pairs",
    "near_pairs_is_lower_bound",
    "near_threshold",
)
_WEAKEST = 8


class Card(NamedTuple):
    """A key number."""

    name: str
    value: str
    interval: str
    ceiling: str
    explanation: str


class Model(NamedTuple):
    """A row of the table of models; ``kind`` is this, other or ceiling."""

    kind: str
    name: str
    scores: list[tuple[str, str]]
    difference: str
    interval: str
    p: str


class Label(NamedTuple):
    """A row of the table of labels."""

    score: LabelScore
    best: float | None
    trained: int | None
    spread: Markup


# What happened once is shown only where little else is there.
_FEW_PAIRS = 5


def measures(evaluation: Evaluation) -> list[str]:
    """The key measures that this task has."""
    return [measure for measure in _CARDS if measure in evaluation.scores]


def shown(measure: str, value: float) -> str:
    """A score with as many digits as it needs: Brier scores of rare labels are small."""
    return f"{value:.4f}" if measure == "brier" else f"{value:.3f}"


def bounds(evaluation: Evaluation, measure: str) -> str:
    """``0.631–0.671``, or nothing without a bootstrap."""
    if measure not in evaluation.interval:
        return ""
    return "–".join(shown(measure, bound) for bound in evaluation.interval[measure])


def cards(evaluation: Evaluation, words: Words) -> list[Card]:
    """The key numbers with their intervals and the ceiling's."""
    best = evaluation.ceiling
    found = []
    for measure in measures(evaluation):
        interval = ""
        if measure in evaluation.interval:
            low, high = (shown(measure, bound) for bound in evaluation.interval[measure])
            share = f"{evaluation.confidence:.0%}"
            interval = words("interval", confidence=share, low=low, high=high)
        ceiling = words("of_ceiling", value=shown(measure, best.scores[measure])) if best else ""
        value = shown(measure, evaluation.scores[measure])
        explanation = words(f"explain_{measure}")
        found.append(Card(words(measure), value, interval, ceiling, explanation))
    return found


def models(evaluation: Evaluation, context: ReportContext, words: Words) -> list[Model]:
    """This model, the others and the ceiling; nothing where this model stands alone."""
    if not context.others and evaluation.ceiling is None:
        return []
    columns = measures(evaluation)

    def row(kind: str, name: str, of: Evaluation, *difference: str) -> Model:
        scores = [
            (shown(m, of.scores[m]) if m in of.scores else words("empty"), bounds(of, m))
            for m in columns
        ]
        return Model(kind, name, scores, *(difference or ("", "", "")))

    rows = [row("this", context.model or words("this_model"), evaluation)]
    for other in context.others:
        difference: tuple[str, ...] = ()
        if other.comparison:
            found = other.comparison.of("macro_f1")
            low, high = (f"{bound:+.3f}" for bound in found.interval)
            interval = words("range", low=low, high=high)
            difference = (f"{found.difference:+.3f}", interval, f"{found.p:.3f}")
        rows.append(row("other", other.name, other.evaluation, *difference))
    if evaluation.ceiling:
        rows.append(row("ceiling", words("ceiling"), evaluation.ceiling))
    return rows


def labels(evaluation: Evaluation, context: ReportContext, words: Words) -> list[Label]:
    """Every label, the commonest first."""
    best = {}
    if evaluation.ceiling:
        best = {label.name: label.f1 for label in evaluation.ceiling.per_label}
    counts = context.counts()
    rows = [
        Label(
            score=label,
            best=best.get(label.name),
            trained=counts.get(label.name, {}).get("train"),
            spread=Markup(label_figures.spread(label, best.get(label.name), words)),  # noqa: S704 (escaped)
        )
        for label in evaluation.per_label
    ]
    return sorted(rows, key=lambda row: -row.score.support)


def weakest(evaluation: Evaluation) -> list[LabelScore]:
    """The labels with the lowest F1 among those with enough cases to say so."""
    known = [label for label in evaluation.per_label if label.support >= FEW_CASES]
    return sorted(known, key=lambda label: label.f1)[:_WEAKEST]


def confused(evaluation: Evaluation, most: int = 15) -> list[tuple[str, str, int, float, float]]:
    """Missed, added, records, share of the missed label's cases, length of the bar (0 to 1)."""
    support = {label.name: label.support for label in evaluation.per_label}
    often = [pair for pair in evaluation.confused[:most] if pair.count > 1]
    pairs = often if len(often) >= _FEW_PAIRS else evaluation.confused[:_FEW_PAIRS]
    longest = max((pair.count for pair in pairs), default=1)
    return [
        (p.missed, p.added, p.count, p.count / max(support[p.missed], 1), p.count / longest)
        for p in pairs
    ]


def split_rows(split: Mapping[str, Any], words: Words) -> list[tuple[str, str, str, str, str]]:
    """Split or fold, records, share, patients, records with a near copy elsewhere."""
    rows, patients = split.get("rows", {}), split.get("patients", {})
    copies = split.get("leakage", {}).get("rows_with_duplicate_elsewhere", {})
    total = sum(rows.values()) or 1
    names = [*(s for s in SPLITS if s in rows), *(s for s in rows if s not in SPLITS)]
    return [
        (
            words.known(name),
            f"{rows[name]:,}",
            f"{rows[name] / total:.1%}",
            f"{patients[name]:,}" if name in patients else words("empty"),
            f"{copies[name]:,}" if name in copies else words("empty"),
        )
        for name in names
    ]


def split_facts(split: Mapping[str, Any], words: Words) -> list[tuple[str, str]]:
    """How the records were divided, and what crosses."""
    facts = []
    if "by" in split:
        facts.append((words("by"), words.known(f"by_{split['by']}")))
    leakage = split.get("leakage", {})
    for key in _LEAKS:
        value = leakage.get(key)
        if isinstance(value, bool):
            facts.append((words(key), words("yes" if value else "no")))
        elif value is not None:
            facts.append((words(key), f"{value:,}"))
    if "labels_outside_bound" in split:
        outside = words("comma").join(split["labels_outside_bound"]) or words("none")
        facts.append((words("labels_outside_bound"), outside))
    return facts


def rejects(context: ReportContext, words: Words) -> list[tuple[str, str, int]]:
    """Stage, reason, rows; the commonest first."""
    rows = [
        (words.known(f"stage_{stage}").removeprefix("stage_"), reason, count)
        for stage, reasons in context.rejects.items()
        for reason, count in reasons.items()
    ]
    return sorted(rows, key=lambda row: -row[2])


def flatten(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as dotted names and plain text."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            yield prefix + key, ", ".join(str(item) for item in value)
        else:
            yield prefix + key, str(value)

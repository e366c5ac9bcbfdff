"""All checks of one model over some time; pure, from what was counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emrobust.package.drift import Reference
from emrobust.serve.monitor import calibration, drift, rates, report
from emrobust.serve.monitor.alarms import Check, Words
from emrobust.serve.monitor.calibration import Answers
from emrobust.serve.monitor.ledger import Tally
from emrobust.serve.monitor.level import Level, Limits, worst
from emrobust.serve.monitor.settings import MonitorSettings
from emrobust.serve.monitor.sketch import Sketch

LATENCY = "latency"  # the check of how long answers take
DATA_USE = "data_use"  # the check of how long the training records may be used
_SLOW = 4.0  # times the latency that is watched
_SOON = 30  # days before the last one of the data-use record


@dataclass(frozen=True)
class Subject:
    """What was counted of a model.

    Attributes:
        names: its labels; empty where the model is not loaded any more.
        known: the package's ``reference.json``; empty likewise.
        reference: its drift reference; None where it carries none.
        sketch: of the texts.
        tally: of the predictions.
        minutes: of the last hour.
        answers: of doctors.
        days: until the last one on which the training records may be used, below 0 after it; None
            where the package has no such record.
    """

    names: Sequence[str]
    known: Mapping[str, Any]
    reference: Reference | None
    sketch: Sketch
    tally: Tally
    minutes: Sequence[tuple[str, Tally]]
    answers: Answers
    days: int | None


@dataclass(frozen=True)
class Findings:
    """The measured parts of a report, and the checks that alarms come from."""

    load: report.Load
    input: report.Input
    labels: report.Labels
    calibration: report.Calibration
    feedback: report.Feedback
    abstention: report.Abstention
    shadow: report.Shadow | None
    checks: tuple[Check, ...]


def examine(subject: Subject, settings: MonitorSettings, words: Mapping[str, Words]) -> Findings:
    """Measure everything.

    Args:
        subject: what was counted.
        settings: limits.
        words: of the checks.
    """
    inputs, input_checks = examine_input(subject.sketch, subject.reference, settings, words)
    labels = _examine_labels(subject, settings.least)
    asked = _examine_calibration(subject.answers, settings.least_feedback)
    silence = _examine_abstention(subject, settings.least)
    answered = report.describe_feedback(subject.tally, _judge_feedback(subject.tally, settings))
    changed = [(of.observed, of.expected) for of in (labels.rows or ())[:1]]
    return Findings(
        load=report.describe_load(subject.tally, subject.minutes),
        input=inputs,
        labels=labels,
        calibration=asked,
        feedback=answered,
        abstention=silence,
        shadow=report.describe_shadow(subject.tally),
        checks=(
            *input_checks,
            Check("labels", labels.level, *(changed[0] if changed else ())),
            Check("calibration", asked.level, asked.ratio, calibration.RATIO.alarm),
            Check("abstention", silence.level, silence.observed, silence.expected),
            Check("feedback", answered.level, answered.rate, settings.feedback),
            _check_latency(subject.minutes, settings.latency),
            _check_data_use(subject.days),
        ),
    )


def examine_input(
    sketch: Sketch,
    reference: Reference | None,
    settings: MonitorSettings,
    words: Mapping[str, Words],
) -> tuple[report.Input, list[Check]]:
    """Texts and answers against the reference."""
    if reference is None:
        return report.Input(level="unknown"), []
    if sketch.rows < settings.least:
        return report.Input(level="unknown", records=sketch.rows, reference=reference.rows), []
    features = drift.compare_features(
        sketch, reference, Limits(settings.psi_watch, settings.psi_alarm)
    )
    shifts = drift.compare_vectors(sketch, reference)
    both = [*features, *shifts]
    found = report.Input(
        level=worst([of.level for of in both]),
        records=sketch.rows,
        reference=reference.rows,
        features=report.describe_features(features, sketch, reference, words),
        shifts=report.describe_shifts(shifts, words),
    )
    checks = [
        Check(f"input.{of.name}", of.level, round(of.size, 4), round(of.threshold, 4))
        for of in both
    ]
    return found, checks


def _examine_labels(subject: Subject, least: int) -> report.Labels:
    tally, known = subject.tally, subject.known
    if not known.get("records") or tally.notes < least:
        return report.Labels(level="unknown", records=tally.notes)
    expected = dict(zip(subject.names, known["predicted"], strict=True))
    found = rates.compare(tally.labels, tally.notes, expected, known["records"])
    return report.Labels(
        level=worst([of.level for of in found]),
        records=tally.notes,
        rows=report.describe_rates(found),
    )


def _examine_calibration(answers: Answers, least: int) -> report.Calibration:
    if answers.records < least or not len(answers.probability):
        return report.Calibration(level="unknown", records=answers.records)
    return report.describe_calibration(calibration.assess(answers), answers.records)


def _examine_abstention(subject: Subject, least: int) -> report.Abstention:
    tally, known = subject.tally, subject.known
    if "abstained" not in known or tally.notes < least:
        observed = report.share(tally.abstained, tally.notes)
        return report.Abstention(level="unknown", observed=observed)
    counts, expected = {"": tally.abstained}, {"": known["abstained"]}
    (found,) = rates.compare(counts, tally.notes, expected, known["records"])
    return report.describe_abstention(found)


def _judge_feedback(tally: Tally, settings: MonitorSettings) -> Level:
    if tally.requests < settings.least:
        return "unknown"
    return "watch" if len(tally.answered) / tally.requests < settings.feedback else "calm"


def _check_latency(minutes: Sequence[tuple[str, Tally]], limit: float) -> Check:
    lately = Tally()
    for _, of in minutes:
        lately.merge(of)
    found = lately.quantile(0.95)
    if found is None:
        return Check(LATENCY, "unknown")
    level: Level = "alarm" if found > limit * _SLOW else "watch" if found > limit else "calm"
    return Check(LATENCY, level, found, limit)


def _check_data_use(days: int | None) -> Check:
    """A package is refused at the next start after its day, so it is told in time."""
    if days is None:
        return Check(DATA_USE, "unknown")
    level: Level = "alarm" if days < 0 else "watch" if days < _SOON else "calm"
    return Check(DATA_USE, level, days, 0)

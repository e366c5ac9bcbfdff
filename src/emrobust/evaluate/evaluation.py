"""One model measured on one set of records: everything that metrics.json and the report hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emrobust import config
from emrobust.evaluate import curves, intervals, metrics
from emrobust.evaluate.curves import PrecisionRecall, Reliability
from emrobust.evaluate.predictions import Predictions, Task, gather

# Pairs kept, and labels whose own precision-recall curve is kept.
_PAIRS = 30
_CURVES = 3
# A label's curve says little below this many cases.
_CURVE_CASES = 10


@dataclass(frozen=True)
class LabelScore:
    """One label. ``pr_auc`` is None without a case, ``f1_interval`` without a bootstrap."""

    name: str
    support: int
    tp: int
    fp: int
    fn: int
    precision: float
    recall: float
    f1: float
    f1_interval: tuple[float, float] | None
    pr_auc: float | None
    ece: float
    threshold: float | None


@dataclass(frozen=True)
class ConfusedPair:
    """``count`` records with ``missed`` among their labels got ``added`` instead."""

    missed: str
    added: str
    count: int


@dataclass(frozen=True)
class Evaluation:
    """A model's scores, from 0 to 1, with their intervals.

    Attributes:
        task: ``multi`` or ``single``.
        n: records.
        patients: patients, the unit of the bootstrap.
        scores: measure → value: macro_f1, micro_f1, macro_precision, macro_recall,
            micro_precision, micro_recall, pr_auc_macro, ece, brier; for a single-label task
            also accuracy and ece_top (calibration of the chosen label alone).
        interval: measure → lower and upper bound; empty without a bootstrap.
        resamples: draws of patients.
        confidence: of the intervals.
        per_label: in the order of the label set.
        reliability: over all label decisions.
        precision_recall: micro, macro and a few labels.
        confused: most frequent pairs first.
        confusion: [K, K] rows true, columns predicted; a single-label task only.
        ceiling: the best possible classifier on the same records, where it is known.
    """

    task: Task
    n: int
    patients: int
    scores: Mapping[str, float]
    interval: Mapping[str, tuple[float, float]]
    resamples: int
    confidence: float
    per_label: tuple[LabelScore, ...]
    reliability: Reliability
    precision_recall: PrecisionRecall
    confused: tuple[ConfusedPair, ...]
    confusion: tuple[tuple[int, ...], ...] | None = None
    ceiling: Evaluation | None = None

    @property
    def without_cases(self) -> int:
        """Labels that no record has: they count 0 in macro-F1 and are left out of PR-AUC."""
        return sum(label.support == 0 for label in self.per_label)

    def headline(self) -> str:
        """One line for the terminal."""
        shown = [f"{self.n:,} records of {self.patients:,} patients"]
        for key, name in (("macro_f1", "macro-F1"), ("micro_f1", "micro-F1")):
            bounds = self.interval.get(key)
            spread = f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else ""
            shown.append(f"{name} {self.scores[key]:.3f}{spread}")
        if self.ceiling:
            shown.append(f"best possible macro-F1 {self.ceiling.scores['macro_f1']:.3f}")
        return ", ".join(shown)

    def to_json(self) -> dict[str, Any]:
        """The contents of metrics.json: plain values, no NaN."""
        plain = asdict(self)
        labels = plain.pop("per_label")
        ceiling = plain.pop("ceiling")
        return {
            **plain.pop("scores"),
            **{key: value for key, value in plain.items() if value is not None},
            "labels": len(labels),
            "labels_without_cases": self.without_cases,
            "per_label": {label.pop("name"): label for label in labels},
            "threshold": {label.name: label.threshold for label in self.per_label}
            if self.task == "multi"
            else "argmax",
        } | ({"ceiling": self.ceiling.to_json()} if self.ceiling and ceiling else {})


def evaluate(
    truth: ArrayLike,
    probability: ArrayLike,
    thresholds: ArrayLike | None,
    names: Sequence[str],
    patients: Sequence[str] | ArrayLike,
    *,
    settings: config.Evaluate,
    task: Task = "multi",
    seed: int = 0,
    ceiling: ArrayLike | None = None,
    ceiling_thresholds: ArrayLike | None = None,
) -> Evaluation:
    """Measure a model, and beside it the best possible one where it is known.

    Args:
        truth: [n, K] of 0 and 1.
        probability: [n, K], 0 to 1.
        thresholds: [K], one for all labels, or None for 0.5; a probability at the threshold
            is a prediction. Not used for a single-label task, which takes the argmax.
        names: the K labels.
        patients: n patient identifiers; intervals resample these.
        settings: draws, confidence and bins.
        task: ``multi`` or ``single``.
        seed: of the bootstrap.
        ceiling: the best possible classifier's probabilities [n, K].
        ceiling_thresholds: its thresholds.

    Raises:
        InputError: parts that do not fit each other, probabilities outside 0 to 1, fewer than
            two patients.
    """
    best = None
    if ceiling is not None:
        given = gather(truth, ceiling, ceiling_thresholds, names, patients, task=task)
        best = measure(given, settings=settings, seed=seed)
    predictions = gather(truth, probability, thresholds, names, patients, task=task)
    return measure(predictions, settings=settings, seed=seed, ceiling=best)


def measure(
    predictions: Predictions,
    *,
    settings: config.Evaluate,
    seed: int,
    ceiling: Evaluation | None = None,
) -> Evaluation:
    """Measure predictions that are already gathered; see `evaluate`."""
    truth, probability = predictions.truth, predictions.probability
    counts = metrics.count(truth, predictions.predicted)
    area = metrics.average_precision(truth, probability)
    drawn = None
    if settings.bootstrap:
        drawn = intervals.resample(
            predictions, resamples=settings.bootstrap, seed=seed, bins=settings.bins
        )
    confused = metrics.confusions(truth, predictions.predicted)
    scores = overall(predictions, settings.bins, counts, area)
    return Evaluation(
        task=predictions.task,
        n=predictions.n,
        patients=predictions.patients,
        scores=scores,
        interval=_intervals(drawn, scores, settings.confidence),
        resamples=settings.bootstrap,
        confidence=settings.confidence,
        per_label=_per_label(predictions, settings, counts, area, drawn),
        reliability=curves.reliability(truth, probability, settings.bins),
        precision_recall=curves.precision_recall(
            truth, probability, predictions.names, _shown(counts.tp + counts.fn)
        ),
        confused=_pairs(confused, predictions.names),
        confusion=_matrix(confused, counts) if predictions.task == "single" else None,
        ceiling=ceiling,
    )


def overall(
    predictions: Predictions,
    bins: int,
    counts: metrics.Counts | None = None,
    area: metrics.Floats | None = None,
) -> dict[str, float]:
    """The measures over all labels; counts and areas are taken where they are known already."""
    truth, probability = predictions.truth, predictions.probability
    counts = counts or metrics.count(truth, predictions.predicted)
    area = metrics.average_precision(truth, probability) if area is None else area
    together = counts.total()
    known = area[~np.isnan(area)]
    scores = {
        "macro_f1": metrics.f1(counts).mean(),
        "micro_f1": metrics.f1(together),
        "macro_precision": metrics.precision(counts).mean(),
        "macro_recall": metrics.recall(counts).mean(),
        "micro_precision": metrics.precision(together),
        "micro_recall": metrics.recall(together),
        "pr_auc_macro": known.mean() if len(known) else 0.0,
        "ece": metrics.ece(truth, probability, bins),
        "brier": metrics.brier(truth, probability),
    }
    if predictions.task == "single":
        hit = (truth & predictions.predicted).max(axis=1)
        top = probability.max(axis=1)
        scores["accuracy"] = hit.mean()
        scores["ece_top"] = metrics.ece(hit[:, None], top[:, None], bins)
    return {key: float(value) for key, value in scores.items()}


def _intervals(
    drawn: intervals.Resampled | None, scores: Mapping[str, float], confidence: float
) -> dict[str, tuple[float, float]]:
    if drawn is None:
        return {}
    return {
        key: intervals.percentile(intervals.centred(values, scores[key]).clip(0, 1), confidence)
        for key, values in drawn.scores.items()
    }


def _per_label(
    predictions: Predictions,
    settings: config.Evaluate,
    counts: metrics.Counts,
    area: metrics.Floats,
    drawn: intervals.Resampled | None,
) -> tuple[LabelScore, ...]:
    error = metrics.bin_decisions(predictions.truth, predictions.probability, settings.bins).error()
    precision, recall, f1 = metrics.precision(counts), metrics.recall(counts), metrics.f1(counts)
    cut = predictions.thresholds
    return tuple(
        LabelScore(
            name=name,
            support=int(counts.tp[k] + counts.fn[k]),
            tp=int(counts.tp[k]),
            fp=int(counts.fp[k]),
            fn=int(counts.fn[k]),
            precision=float(precision[k]),
            recall=float(recall[k]),
            f1=float(f1[k]),
            f1_interval=drawn and intervals.percentile(drawn.label_f1[:, k], settings.confidence),
            pr_auc=None if np.isnan(area[k]) else float(area[k]),
            ece=float(error[k]),
            threshold=None if cut is None else float(cut[k]),
        )
        for k, name in enumerate(predictions.names)
    )


def _shown(support: np.ndarray) -> list[int]:
    """Labels whose curve is kept: the commonest, a middling and the rarest that says anything."""
    order = [int(k) for k in np.argsort(-support, kind="stable") if support[k] >= _CURVE_CASES]
    if len(order) <= _CURVES:
        return order
    return [order[round(place * (len(order) - 1) / (_CURVES - 1))] for place in range(_CURVES)]


def _pairs(confused: np.ndarray, names: tuple[str, ...]) -> tuple[ConfusedPair, ...]:
    missed, added = np.nonzero(confused)
    times = confused[missed, added]
    order = np.argsort(-times, kind="stable")[:_PAIRS]
    return tuple(ConfusedPair(names[missed[p]], names[added[p]], int(times[p])) for p in order)


def _matrix(confused: np.ndarray, counts: metrics.Counts) -> tuple[tuple[int, ...], ...]:
    whole = confused + np.diag(counts.tp)
    return tuple(tuple(int(cell) for cell in row) for row in whole)

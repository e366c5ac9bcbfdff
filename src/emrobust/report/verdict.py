"""The report's first paragraphs: what was found, what it means, what to watch out for."""

from __future__ import annotations

from emrobust.evaluate import Evaluation, LabelScore
from emrobust.report.context import OtherModel, ReportContext
from emrobust.report.words import Words

# Fewer cases than this leave a label's F1 uncertain by more than about 0.15.
FEW_CASES = 20
WEAK_F1 = 0.5
GOOD_F1 = 0.8
# Probabilities are called off when they miss by more than this, on average or where high.
ECE_LIMIT = 0.05
_RARE_GAP = 0.1
_SHARE_LIMIT = 0.01
_NAMED = 5


def score(evaluation: Evaluation, measure: str, words: Words) -> str:
    """``0.652 (95% interval 0.631 – 0.671)``, or the value alone without a bootstrap."""
    value = f"{evaluation.scores[measure]:.3f}"
    if measure not in evaluation.interval:
        return value
    low, high = evaluation.interval[measure]
    return words(
        "with_interval",
        value=value,
        confidence=f"{evaluation.confidence:.0%}",
        low=f"{low:.3f}",
        high=f"{high:.3f}",
    )


def verdict(evaluation: Evaluation, context: ReportContext, words: Words) -> str:
    """One sentence: macro-F1 with its interval beside the ceiling and the baseline."""
    parts = [
        words(
            "verdict",
            n=f"{evaluation.n:,}",
            patients=f"{evaluation.patients:,}",
            model=context.model or words("the_model"),
            score=score(evaluation, "macro_f1", words),
            labels=len(evaluation.per_label),
        )
    ]
    if evaluation.ceiling:
        best = evaluation.ceiling.scores["macro_f1"]
        parts.append(words("verdict_ceiling", best=f"{best:.3f}"))
    if context.others:
        other = context.others[0]
        value = other.evaluation.scores["macro_f1"]
        parts.append(words("verdict_other", name=other.name, value=f"{value:.3f}"))
    return words("clause").join(parts) + words("stop")


def meaning(evaluation: Evaluation, context: ReportContext, words: Words) -> list[str]:
    """What the scores mean for a reader who does not know F1."""
    scores = evaluation.scores
    lines = [
        words(
            "means_single" if evaluation.task == "single" else "means_micro",
            right=f"{100 * scores['micro_precision']:.0f}",
            found=f"{100 * scores['micro_recall']:.0f}",
        )
    ]
    labels = evaluation.per_label
    lines.append(
        words(
            "means_labels",
            labels=len(labels),
            good=sum(label.f1 >= GOOD_F1 for label in labels),
            high=GOOD_F1,
            weak=sum(label.f1 < WEAK_F1 for label in labels),
            low=WEAK_F1,
        )
    )
    if evaluation.ceiling:
        best = evaluation.ceiling.scores["macro_f1"]
        share = scores["macro_f1"] / best if best else 0.0
        lines.append(words("means_ceiling", share=f"{share:.0%}"))
    return lines + [line for other in context.others for line in _against(other, words)]


def _against(other: OtherModel, words: Words) -> list[str]:
    """A paired difference in words."""
    if other.comparison is None:
        return []
    found = other.comparison.of("macro_f1")
    low, high = found.interval
    key = "means_better" if low > 0 else "means_worse" if high < 0 else "means_same"
    return [
        words(
            key,
            name=other.name,
            difference=f"{abs(found.difference):.3f}",
            low=f"{low:+.3f}",
            high=f"{high:+.3f}",
        )
    ]


def cautions(evaluation: Evaluation, context: ReportContext, words: Words) -> list[str]:
    """What to watch out for: only what these results give reason for, and one line always."""
    return [
        *context.notes,
        *_leaks(evaluation, context, words),
        *_mixed(context, words),
        *_labels(evaluation, words),
        *_calibration(evaluation, words),
        *_refused(context, words),
        words("caution_elsewhere"),
    ]


def _mixed(context: ReportContext, words: Words) -> list[str]:
    """Models that are surely better by one average and surely worse by the other."""
    lines = []
    for other in context.others:
        if other.comparison is None:
            continue
        (low, high), (lower, upper) = (
            other.comparison.of(measure).interval for measure in ("macro_f1", "micro_f1")
        )
        if (low > 0 and upper < 0) or (high < 0 and lower > 0):
            lines.append(words("caution_mixed", name=other.name))
    return lines


def _names(labels: list[LabelScore], words: Words) -> str:
    listed = words("comma").join(label.name for label in labels[:_NAMED])
    return words("and_more", names=listed) if len(labels) > _NAMED else listed


def _labels(evaluation: Evaluation, words: Words) -> list[str]:
    labels = evaluation.per_label
    lines = []
    absent = [label for label in labels if label.support == 0]
    if absent:
        lines.append(words("caution_absent", n=len(absent), names=_names(absent, words)))
    few = [label for label in labels if 0 < label.support < FEW_CASES]
    if few:
        lines.append(words("caution_few", n=len(few), limit=FEW_CASES))
    weak = [label for label in labels if label.support >= FEW_CASES and label.f1 < WEAK_F1]
    weak.sort(key=lambda label: label.f1)
    if weak:
        named = _names(weak, words)
        lines.append(
            words("caution_weak", n=len(weak), cases=FEW_CASES, limit=WEAK_F1, names=named)
        )
    if evaluation.scores["micro_f1"] - evaluation.scores["macro_f1"] > _RARE_GAP:
        lines.append(words("caution_rare"))
    return lines


def _calibration(evaluation: Evaluation, words: Words) -> list[str]:
    if evaluation.scores["ece"] > ECE_LIMIT:
        return [words("caution_ece", ece=f"{evaluation.scores['ece']:.3f}")]
    curve = evaluation.reliability
    high = [b for b in range(len(curve.decisions)) if curve.confidence[b] >= 0.5]
    total = sum(curve.decisions[b] for b in high)
    if not total:
        return []
    said = sum(curve.decisions[b] * curve.confidence[b] for b in high) / total
    true = sum(curve.decisions[b] * curve.true[b] for b in high) / total
    if abs(said - true) <= ECE_LIMIT:
        return []
    key = "caution_overconfident" if said > true else "caution_underconfident"
    return [words(key, said=f"{said:.0%}", true=f"{true:.0%}")]


def _leaks(evaluation: Evaluation, context: ReportContext, words: Words) -> list[str]:
    lines = []
    best = evaluation.ceiling
    if best and evaluation.scores["macro_f1"] > best.scores["macro_f1"] + 0.01:
        lines.append(words("caution_above_ceiling"))
    leakage = (context.split or {}).get("leakage", {})
    if shared := leakage.get("patients_in_two_splits", 0):
        lines.append(words("caution_patients", n=f"{shared:,}"))
    copied = leakage.get("rows_with_duplicate_elsewhere", {}).get("test", 0)
    rows = (context.split or {}).get("rows", {}).get("test", 0)
    if rows and copied / rows > _SHARE_LIMIT:
        lines.append(words("caution_copies", n=f"{copied:,}", share=f"{copied / rows:.1%}"))
    return lines


def _refused(context: ReportContext, words: Words) -> list[str]:
    refused = sum(sum(reasons.values()) for reasons in context.rejects.values())
    if context.rows_read and refused / context.rows_read > _SHARE_LIMIT:
        share = f"{refused / context.rows_read:.1%}"
        return [words("caution_refused", n=f"{refused:,}", share=share)]
    return []

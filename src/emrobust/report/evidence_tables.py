"""The evidence in rows and sentences for the template; a part that is missing is empty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from emrobust.evaluate.evidence import Evidence
from emrobust.evaluate.slices import Group
from emrobust.evaluate.slices.discovery import Condition
from emrobust.evaluate.slices.fairness import LEAST
from emrobust.evaluate.slices.groups import OTHERS
from emrobust.evaluate.suites import SuiteScore
from emrobust.report import evidence_figures
from emrobust.report.words import Words

STRINGS = "evidence_strings.toml"
PAPER = "noise-paper"
# A drop whose interval lies wholly above this is worth a warning.
_DROP = 0.05
# Diagnoses given to a nearly empty text, on average.
_GIVEN = 0.25
_HARDEST, _HARDEST_CASES = 8, 20
_LEFT = 0.2
# A suite that changes fewer of its texts may be of another language than they are.
_CHANGED = 0.5
_FOUND = 5
# How the errors begin that say why a part is missing, and the words for them.
_REASONS = {
    "the texts of the test records were not found": "reason_texts",
    "a cross-validated run has no single model": "reason_folds",
}
Rows = list[tuple[str, ...]]


def present(evidence: Evidence | None, language: str) -> dict[str, Any]:
    """Everything that ``evidence.html.j2`` shows."""
    words = Words(language, STRINGS)
    given = evidence or Evidence()
    return {
        "v": words,
        "calibration": _calibration(given, words),
        "sets": _sets(given, words),
        "suites": _suites(given, words),
        "groups": _groups(given, words),
        "discovery": _discovery(given, words),
        "significance": _significance(given, words),
        "missing": [
            (_part(part, words), _reason(reason, words)) for part, reason in given.missing.items()
        ],
    }


def _part(part: str, words: Words) -> str:
    """What is missing, in the reader's language: ``suites``, or ``suite noise-3``."""
    kind, _, name = part.partition(" ")
    return words(f"part_{kind}", name=name)


def _reason(reason: str, words: Words) -> list[str]:
    """The commonest reasons in the reader's language, the others as the program says them."""
    key = next((key for begin, key in _REASONS.items() if reason.startswith(begin)), "")
    return [words(key)] if key else reason.split("\n")


def cautions(evidence: Evidence | None, language: str) -> list[str]:
    """What to watch out for, where the evidence gives reason to."""
    words, lines = Words(language, STRINGS), []
    given = evidence or Evidence()
    by_name = {suite.name: suite for suite in given.suites}
    paper, blank = by_name.get(PAPER), by_name.get("empty")
    if paper and paper.interval.get("macro_f1", (0.0,))[0] > _DROP:
        lines.append(words("caution_noise", drop=_percent(paper.drop["macro_f1"], words)))
    worst = given.fairness and given.fairness.worst()
    if worst:
        aspect, value = _named(worst.aspect, worst.value, words)
        score = f"{worst.micro_f1:.3f}"
        lines.append(words("caution_group", aspect=aspect, value=value, score=score))
    if blank and len(blank.per_label) and blank.given > _GIVEN and not _single(given):
        lines.append(words("caution_empty", given=f"{blank.given:.1f}"))
    return lines


def _single(given: Evidence) -> bool:
    """A single-label model always gives one diagnosis."""
    return given.calibration is not None and "ece_top" in given.calibration.after


def _percent(value: float | None, words: Words) -> str:
    return words("empty") if value is None else f"{value:.1%}"


def _number(value: float | None, words: Words, digits: int = 3, sign: str = "") -> str:
    return words("empty") if value is None else f"{value:{sign}.{digits}f}"


def _p(value: float | None, words: Words) -> str:
    """A p-value; those that three digits would show as 0 are said to be smaller."""
    if value is None:
        return words("empty")
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _range(bounds: tuple[float, float] | None, spec: str) -> str:
    return "" if bounds is None else f"[{bounds[0]:{spec}}, {bounds[1]:{spec}}]"


def _calibration(given: Evidence, words: Words) -> dict[str, Any] | None:
    found = given.calibration
    if found is None:
        return None
    name = words.known(f"calibrator_{found.name}").removeprefix("calibrator_")
    text = (
        words("calibration_none")
        if found.name == "none"
        else words("calibration_text", name=name, n=len(found.validation))
    )
    candidates = sorted(found.validation.items(), key=lambda one: one[1]["nll"])
    return {
        "text": text,
        "rows": [
            (words(key), f"{found.before[key]:.4f}", f"{found.after[key]:.4f}")
            for key in found.after
        ],
        "candidates": [
            (
                words.known(f"calibrator_{key}").removeprefix("calibrator_")
                + (words("chosen") if key == found.name else ""),
                *(f"{of[measure]:.4f}" for measure in ("nll", "brier", "ece")),
            )
            for key, of in candidates
        ],
        "reliability": found.reliability,
    }


def _sets(given: Evidence, words: Words) -> dict[str, Any] | None:
    if not given.sets and given.risk is None:
        return None
    asked = min(given.sets, key=lambda of: abs(of.target - given.coverage), default=None)
    headlines = []
    if asked:
        headlines.append(
            words(
                "sets_headline",
                target=f"{asked.target:.0%}",
                mean=f"{asked.mean:.1f}",
                median=f"{asked.median:g}",
                high=f"{asked.high:g}",
                coverage=f"{asked.coverage:.1%}",
            )
        )
    if given.risk:
        kept, whole = given.risk.at(1 - _LEFT)[1], given.risk.at(1.0)[1]
        left, f1 = f"{_LEFT:.0%}", f"{kept:.3f}"
        headlines.append(words("risk_headline", left=left, f1=f1, all=f"{whole:.3f}"))
    return {
        "headlines": headlines,
        "rows": [
            (
                f"{of.target:.0%}",
                f"{of.coverage:.1%}",
                f"{of.mean:.1f}",
                f"{of.median:g}",
                f"{of.high:g}",
                f"{of.empty:.1%}",
            )
            for of in given.sets
        ],
        "figure": _markup(evidence_figures.risk_coverage(given.risk, words) if given.risk else ""),
    }


def _markup(svg: str) -> list[Markup]:
    """A plot as markup: `plot` escapes every text that it is given."""
    return [Markup(svg)] if svg else []  # noqa: S704 (escaped)


def _suites(given: Evidence, words: Words) -> dict[str, Any] | None:
    reasons = [_shift(aspect, why, words) for aspect, why in given.shift.items()]
    if not given.suites and not reasons:
        return None
    paper = next((suite for suite in given.suites if suite.name == PAPER), None)
    return {
        "headline": "" if paper is None else _paper(paper, words),
        "rows": [_suite(suite, words) for suite in given.suites],
        "blank": any(suite.name == "empty" for suite in given.suites),
        "reasons": reasons,
        "figure": _markup(evidence_figures.noise(given.suites, words)),
        "hardest": [] if paper is None else _hardest(paper),
        "limit": _HARDEST_CASES,
    }


def _paper(suite: SuiteScore, words: Words) -> str:
    shown = {
        "standard": f"{suite.standard['macro_f1']:.3f}",
        "suite": f"{suite.suite['macro_f1']:.3f}",
        "drop": _percent(suite.drop["macro_f1"], words),
    }
    bounds = suite.interval.get("macro_f1")
    if bounds is None:
        return words("suites_headline", **shown)
    low, high = (f"{bound:.1%}" for bound in bounds)
    return words("suites_headline_interval", **shown, low=low, high=high)


def _suite(suite: SuiteScore, words: Words) -> tuple[str, ...]:
    return (
        _titled(suite, words),
        f"{suite.n:,}",
        *(
            cell
            for measure in ("macro_f1", "micro_f1")
            for cell in (
                f"{suite.standard[measure]:.3f}",
                f"{suite.suite[measure]:.3f}",
                _percent(suite.drop[measure], words),
                _range(suite.interval.get(measure), ".1%"),
            )
        ),
        f"{suite.ece:.4f}",
        f"{suite.given:.2f}",
    )


def _titled(suite: SuiteScore, words: Words) -> str:
    """The suite's name; with a word on it where most texts were left as they are."""
    name = words.known(f"suite_{suite.name}").removeprefix("suite_")
    if suite.kind == "attack":
        name = words("suite_attack", name=suite.name.removeprefix("attack-"))
    changed = suite.about.get("changed", 1.0)
    if changed >= _CHANGED:
        return name
    return words("changed_few", name=name, share=f"{changed:.0%}")


def _shift(aspect: str, why: str, words: Words) -> str:
    if why == "none":
        return words(f"shift_none_{aspect}")
    return words(f"shift_{why}", aspect=words(f"aspect_{aspect}"))


def _hardest(suite: SuiteScore) -> Rows:
    known = [
        (of.standard - of.suite, name, of)
        for name, of in suite.per_label.items()
        if of.support >= _HARDEST_CASES and of.standard is not None and of.suite is not None
    ]
    known.sort(key=lambda row: -row[0])
    return [
        (
            name,
            f"{of.support:,}",
            f"{of.standard:.3f}",
            f"{of.suite:.3f}",
            f"{-drop:+.3f} {_range(of.interval, '+.3f')}",
        )
        for drop, name, of in known[:_HARDEST]
        if drop > 0
    ]


def _named(aspect: str, value: str, words: Words) -> tuple[str, str]:
    shown = words("others") if value == OTHERS else value
    if aspect == "sex":
        shown = words.known(f"sex_{value}").removeprefix("sex_")
    return words(f"aspect_{aspect}"), shown


def _groups(given: Evidence, words: Words) -> dict[str, Any] | None:
    found = given.fairness
    groups: Sequence[Group] = found.groups if found else ()
    if not groups and not given.buckets:
        return None
    names = [" ".join(_named(group.aspect, group.value, words)) for group in groups]
    figure = evidence_figures.gaps(groups, names, words) if groups else ""
    return {
        "headline": _worst(given, words),
        "rows": [_group(group, name, words) for group, name in zip(groups, names, strict=True)],
        "note": words("absent_note", limit=LEAST),
        "buckets": [
            (
                words(f"bucket_{bucket.name}"),
                str(bucket.labels),
                str(bucket.absent),
                _number(bucket.macro_f1, words),
                _range(bucket.interval, ".3f"),
                "" if bucket.gap is None else f"{bucket.gap:+.3f}",
                _range(bucket.gap_interval, "+.3f"),
            )
            for bucket in given.buckets
        ],
        "figure": _markup(figure),
    }


def _worst(given: Evidence, words: Words) -> str:
    if given.fairness is None:
        return ""
    worst, lowest = given.fairness.worst(), given.fairness.lowest()
    if worst:
        aspect, value = _named(worst.aspect, worst.value, words)
        score, gap = f"{worst.micro_f1:.3f}", f"{-worst.gap:.3f}"
        return words("groups_worst", aspect=aspect, value=value, score=score, gap=gap)
    if lowest is None:
        return ""
    aspect, value = _named(lowest.aspect, lowest.value, words)
    return words("groups_no_worst", aspect=aspect, value=value, gap=f"{lowest.gap:+.3f}")


def _group(group: Group, name: str, words: Words) -> tuple[str, ...]:
    return (
        name,
        f"{group.n:,}",
        f"{group.patients:,}",
        f"{group.micro_f1:.3f}",
        f"{group.gap:+.3f}",
        _range(group.gap_interval, "+.3f"),
        _p(group.p, words),
        f"{group.recall:.3f}",
        _number(group.expected_recall, words),
        f"{group.macro_f1:.3f}",
        f"{group.absent:,}",
    )


def _discovery(given: Evidence, words: Words) -> dict[str, Any] | None:
    found = given.discovery
    if found is None:
        return None
    sure = len(found.confirmed())
    return {
        "text": words("discovery_text", n=f"{found.measured_on:,}", looked=found.looked_at),
        "headline": words("discovery_confirmed", n=sure) if sure else words("discovery_none"),
        "rows": [
            (
                words("and").join(_condition(one, words) for one in group.conditions),
                f"{group.n:,}",
                f"{group.share:.1%}",
                f"{group.micro_f1:.3f}",
                f"{group.gap:+.3f}",
                _range(group.gap_interval, "+.3f"),
                _p(group.p, words),
                words("yes" if group.confirmed else "no"),
            )
            for group in [one for one in found.groups if one.gap < 0][: max(_FOUND, sure)]
        ],
    }


def _condition(of: Condition, words: Words) -> str:
    key = ("word_is" if of.aspect == "word" else "is") + ("" if of.holds else "_not")
    aspect, value = _named(of.aspect, of.value, words)
    return words(key, aspect=aspect, value=value)


def _significance(given: Evidence, words: Words) -> dict[str, Any] | None:
    found = given.significance
    if found is None:
        return None
    few = found.short_of_seeds()
    measures = list(next(iter(found.recipes.values())))
    return {
        "text": words(
            "significance_text", resamples=f"{found.resamples:,}", level=f"{found.level:g}"
        ),
        "few": words("significance_few", names=words("comma").join(few)) if few else "",
        "measures": [words(measure) for measure in measures],
        "recipes": [
            (
                name,
                str(max(one.seeds for one in of.values())),
                *(
                    f"{one.mean:.4f}" + ("" if one.deviation is None else f" ± {one.deviation:.4f}")
                    for one in of.values()
                ),
            )
            for name, of in found.recipes.items()
        ],
        "claims": [
            (
                claim.first,
                words(claim.measure),
                f"{claim.difference:+.4f}",
                _range(claim.interval, "+.4f"),
                _p(claim.p, words),
                _p(claim.p_holm, words),
                words(f"verdict_{claim.reason}"),
            )
            for claim in found.claims
        ],
    }

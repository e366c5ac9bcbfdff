"""What several seeds say: mean and spread, and which differences are more than luck.

A recipe is trained under several seeds on the same prepared records. The spread over seeds says
how much a training's luck matters; the bootstrap of patients says how much the choice of test
records does. A difference of two recipes is that of their means over seeds. Its variance is the sum
of two parts: over draws of patients, each scored by every seed's model of both recipes, and the
variance of each recipe's scores over its seeds, divided by their number. Intervals and p-values are
Student's t with Welch's and Satterthwaite's degrees of freedom, so that two seeds are not taken
for many: drawing two seeds out of two would halve their variance. Over a table, p-values are
corrected by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t as student

from emrobust import config
from emrobust.errors import InputError
from emrobust.evaluate import intervals
from emrobust.evaluate.comparison import check_same
from emrobust.evaluate.evaluation import overall
from emrobust.evaluate.metrics import Floats
from emrobust.evaluate.predictions import Predictions

LEAST_SEEDS = 2
LEAST_DRAWS = 2  # one has no spread
MEASURES = ("macro_f1", "micro_f1", "pr_auc_macro", "ece")


@dataclass(frozen=True)
class Spread:
    """Mean over seeds and their standard deviation (n - 1); None for a single seed."""

    mean: float
    deviation: float | None
    seeds: int


class Scored(NamedTuple):
    """A run's score, and its scores over draws of patients that are the same for every run."""

    score: float
    draws: Floats


@dataclass(frozen=True)
class Claim:
    """One difference of two recipes, second minus first.

    Attributes:
        first: the recipe to compare with.
        second: the recipe that is compared.
        measure: its key in metrics.json.
        difference: mean over seeds.
        interval: of the difference.
        p: two-sided, of patients and seeds.
        p_holm: corrected for the whole table.
        significant: whether p_holm is below the level and there are enough seeds.
        reason: why nothing may be claimed, ``""`` where it may: ``seeds`` or ``p``.
    """

    first: str
    second: str
    measure: str
    difference: float
    interval: tuple[float, float]
    p: float
    p_holm: float
    significant: bool
    reason: str


@dataclass(frozen=True)
class Significance:
    """A table of recipes.

    Attributes:
        recipes: recipe → measure → spread over its seeds.
        claims: the last recipe against every other one.
        level: below which a corrected p-value counts.
        resamples: draws of patients.
        confidence: of the intervals.
    """

    recipes: Mapping[str, Mapping[str, Spread]]
    claims: tuple[Claim, ...]
    level: float
    resamples: int
    confidence: float

    def short_of_seeds(self) -> list[str]:
        """Recipes with fewer than two seeds: nothing can be claimed of them."""
        return [
            name
            for name, of in self.recipes.items()
            if min((spread.seeds for spread in of.values()), default=0) < LEAST_SEEDS
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The table for the terminal."""
        rows = [
            f"{name}: " + ", ".join(f"{key} {_shown(one)}" for key, one in of.items())
            for name, of in self.recipes.items()
        ]
        for claim in self.claims:
            low, high = claim.interval
            says = {"": "significant", "p": "not significant"}.get(claim.reason, "no claim")
            rows.append(
                f"  {claim.second} against {claim.first}, {claim.measure}: "
                f"{claim.difference:+.4f} [{low:+.4f}, {high:+.4f}], "
                f"p = {claim.p:.3f}, corrected {claim.p_holm:.3f}: {says}"
            )
        if few := self.short_of_seeds():
            rows.append(
                f"  {', '.join(few)}: fewer than {LEAST_SEEDS} seeds, so no difference may be "
                "claimed; train with other seeds (--set seed=…) on the same prepared folder"
            )
        return rows


def _shown(spread: Spread) -> str:
    if spread.deviation is None:
        return f"{spread.mean:.4f} (one seed)"
    return f"{spread.mean:.4f} ± {spread.deviation:.4f} ({spread.seeds} seeds)"


def spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation of a measure over seeds.

    Raises:
        InputError: there is no value.
    """
    if not values:
        raise InputError("a spread needs at least one run")
    deviation = float(np.std(values, ddof=1)) if len(values) >= LEAST_SEEDS else None
    return Spread(float(np.mean(values)), deviation, len(values))


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected by Holm's step-down method, in the order given."""
    order = np.argsort(p, kind="stable")
    found = np.empty(len(order))
    worst = 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p[place]))
        found[place] = worst
    return [float(value) for value in found]


def compare_recipes(
    recipes: Mapping[str, Sequence[Predictions]],
    *,
    settings: config.Evaluate,
    seed: int = 0,
    level: float = 0.05,
) -> Significance:
    """The last recipe against every other, over all their seeds.

    Args:
        recipes: recipe → its runs' predictions of the same records in the same order.
        settings: draws (at least 2), confidence and bins.
        seed: of the bootstrap.
        level: of significance.

    Raises:
        InputError: runs of different records or labels, or no bootstrap.
    """
    if settings.bootstrap < LEAST_DRAWS:
        raise InputError(
            f"a claim needs a bootstrap, but [evaluate] bootstrap is {settings.bootstrap}",
            "Set [evaluate] bootstrap = 1000.",
        )
    every = [run for runs in recipes.values() for run in runs]
    for run in every[1:]:
        check_same(every[0], run)
    scores = {name: [overall(run, settings.bins) for run in runs] for name, runs in recipes.items()}
    drawn = {
        name: [
            intervals.resample(
                run, resamples=settings.bootstrap, seed=seed, bins=settings.bins
            ).scores
            for run in runs
        ]
        for name, runs in recipes.items()
    }
    *others, last = recipes
    sides = {
        (name, measure): [
            Scored(score[measure], draws[measure])
            for score, draws in zip(scores[name], drawn[name], strict=True)
        ]
        for name in recipes
        for measure in MEASURES
    }
    raw = [
        contrast((other, last), measure, sides[other, measure], sides[last, measure], settings)
        for other in others
        for measure in MEASURES
    ]
    claims = correct(raw, level)
    return Significance(
        recipes={
            name: {measure: spread([of[measure] for of in runs]) for measure in MEASURES}
            for name, runs in scores.items()
        },
        claims=claims,
        level=level,
        resamples=settings.bootstrap,
        confidence=settings.confidence,
    )


def contrast(
    names: tuple[str, str],
    measure: str,
    first: Sequence[Scored],
    second: Sequence[Scored],
    settings: config.Evaluate,
) -> Claim:
    """The difference of two recipes' means over their seeds, not yet corrected for a table.

    Args:
        names: of the two.
        measure: what was scored.
        first: the runs of the recipe to compare with.
        second: those of the recipe that is compared.
        settings: the confidence of the interval.
    """
    point = float(np.mean([run.score for run in second]) - np.mean([run.score for run in first]))
    draws = np.mean([run.draws for run in second], axis=0)
    patients = float((draws - np.mean([run.draws for run in first], axis=0)).var(ddof=1))
    luck = [(_luck(side), len(side) - 1) for side in (first, second)]
    variance = patients + sum(of for of, _ in luck)
    reason = "seeds" if min(len(first), len(second)) < LEAST_SEEDS else ""
    if not variance:
        certain = float(point == 0)
        return Claim(*names, measure, point, (point, point), certain, certain, False, reason)
    shares = sum(of**2 / freedom for of, freedom in luck if of)
    spread_of = student(variance**2 / shares if shares else np.inf)
    half = float(spread_of.ppf((1 + settings.confidence) / 2)) * variance**0.5
    p = float(2 * spread_of.sf(abs(point) / variance**0.5))
    interval = (point - half, point + half)
    return Claim(*names, measure, point, interval, p, p, False, reason)


def _luck(runs: Sequence[Scored]) -> float:
    """Variance of the mean over seeds; of a single one nothing is known."""
    return float(np.var([run.score for run in runs], ddof=1)) / len(runs) if len(runs) > 1 else 0.0


def correct(claims: Sequence[Claim], level: float) -> tuple[Claim, ...]:
    """The claims of a table with p-values corrected by Holm's method, and what they are worth."""
    adjusted = holm([claim.p for claim in claims])
    found = []
    for claim, p in zip(claims, adjusted, strict=True):
        reason = claim.reason or ("" if p < level else "p")
        found.append(replace(claim, p_holm=p, significant=reason == "", reason=reason))
    return tuple(found)

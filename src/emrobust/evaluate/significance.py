"""What several seeds say: mean and spread, and which differences are more than luck.

A recipe is trained under several seeds on the same prepared records. The spread over seeds says
how much a training's luck matters; the bootstrap of patients says how much the choice of test
records does. A difference of two recipes is the mean over seeds of the paired differences; each
draw of patients is scored by every seed's model, and the seeds are drawn along with it, so the
p-value knows of both. Over a table, p-values are corrected by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emrobust import config, rng
from emrobust.errors import InputError
from emrobust.evaluate import intervals
from emrobust.evaluate.comparison import check_same
from emrobust.evaluate.evaluation import overall
from emrobust.evaluate.metrics import Floats
from emrobust.evaluate.predictions import Predictions

LEAST_SEEDS = 2
MEASURES = ("macro_f1", "micro_f1", "pr_auc_macro", "ece")


@dataclass(frozen=True)
class Spread:
    """Mean over seeds and their standard deviation (n - 1); None for a single seed."""

    mean: float
    deviation: float | None
    seeds: int


@dataclass(frozen=True)
class Claim:
    """One difference of two recipes, second minus first.

    Attributes:
        first: the recipe to compare with.
        second: the recipe that is compared.
        measure: its key in metrics.json.
        difference: mean over seeds.
        interval: of the difference.
        p: two-sided, by the bootstrap over patients and seeds.
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
    measures: Sequence[str] = MEASURES,
    level: float = 0.05,
) -> Significance:
    """The last recipe against every other, over all their seeds.

    Args:
        recipes: recipe → its runs' predictions of the same records in the same order.
        settings: draws (at least 1), confidence and bins.
        seed: of the bootstrap.
        measures: what to compare.
        level: of significance.

    Raises:
        InputError: runs of different records or labels, or no bootstrap.
    """
    if not settings.bootstrap:
        raise InputError(
            "a claim needs a bootstrap, but [evaluate] bootstrap is 0",
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
    raw = [
        (
            other,
            measure,
            *_difference(scores, drawn, (other, last), measure, settings=settings, seed=seed),
        )
        for other in others
        for measure in measures
    ]
    adjusted = holm([p for *_, p in raw])
    few = {name for name, runs in recipes.items() if len(runs) < LEAST_SEEDS}
    claims = [
        _claim(last, one, corrected, level, bool(few & {last, one[0]}))
        for one, corrected in zip(raw, adjusted, strict=True)
    ]
    return Significance(
        recipes={
            name: {measure: spread([of[measure] for of in runs]) for measure in measures}
            for name, runs in scores.items()
        },
        claims=tuple(claims),
        level=level,
        resamples=settings.bootstrap,
        confidence=settings.confidence,
    )


def _difference(
    scores: Mapping[str, Sequence[Mapping[str, float]]],
    drawn: Mapping[str, Sequence[Mapping[str, Floats]]],
    names: tuple[str, str],
    measure: str,
    *,
    settings: config.Evaluate,
    seed: int,
) -> tuple[float, tuple[float, float], float]:
    """Mean difference of second and first, its interval and its p-value."""
    sides = []
    for name in names:
        of_seeds = np.stack(
            [
                intervals.centred(draws[measure], own[measure])
                for draws, own in zip(drawn[name], scores[name], strict=True)
            ]
        )
        stream = rng.generator(seed, "seeds drawn", name)
        chosen = stream.integers(0, len(of_seeds), (len(of_seeds), of_seeds.shape[1]))
        sides.append(np.take_along_axis(of_seeds, chosen, axis=0).mean(axis=0))
    point = float(
        np.mean([of[measure] for of in scores[names[1]]])
        - np.mean([of[measure] for of in scores[names[0]]])
    )
    differences = intervals.centred(sides[1] - sides[0], point)
    interval = intervals.percentile(differences, settings.confidence)
    return point, interval, intervals.tail_p(differences)


def _claim(
    second: str,
    raw: tuple[str, str, float, tuple[float, float], float],
    corrected: float,
    level: float,
    few: bool,
) -> Claim:
    first, measure, difference, interval, p = raw
    reason = "seeds" if few else "" if corrected < level else "p"
    return Claim(first, second, measure, difference, interval, p, corrected, reason == "", reason)

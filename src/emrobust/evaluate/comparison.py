"""Two runs on the same records: is the difference more than the luck of the draw?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emrobust import config
from emrobust.errors import InputError
from emrobust.evaluate import intervals
from emrobust.evaluate.evaluation import overall
from emrobust.evaluate.predictions import Predictions

ONE_TABLE = (
    "Measure both on one table, of records that neither learned from: "
    "emrobust evaluate NEW --data TABLE --baseline OLD --out REPORT."
)


@dataclass(frozen=True)
class Difference:
    """One measure of two runs, paired over the same draws of patients.

    Attributes:
        measure: its key in metrics.json.
        first: the first run's score.
        second: the second run's score.
        difference: second - first.
        interval: of the difference.
        p: two-sided bootstrap p-value of no difference.
    """

    measure: str
    first: float
    second: float
    difference: float
    interval: tuple[float, float]
    p: float


@dataclass(frozen=True)
class Comparison:
    """The differences of two runs, second minus first."""

    first: str
    second: str
    n: int
    patients: int
    resamples: int
    confidence: float
    differences: tuple[Difference, ...]

    def of(self, measure: str) -> Difference:
        """The difference of one measure.

        Raises:
            KeyError: it was not compared.
        """
        for difference in self.differences:
            if difference.measure == measure:
                return difference
        raise KeyError(measure)

    def to_json(self) -> dict[str, Any]:
        """Plain values; differences by measure."""
        plain = asdict(self)
        plain["differences"] = {d.pop("measure"): d for d in plain["differences"]}
        return plain

    def lines(self) -> list[str]:
        """The comparison for the terminal."""
        head = (
            f"{self.second} against {self.first}: {self.n:,} records of {self.patients:,} "
            f"patients, {self.resamples:,} paired draws of patients"
        )
        return [head, *(_line(d, self.confidence) for d in self.differences)]


def _line(d: Difference, confidence: float) -> str:
    return (
        f"  {d.measure:<13} {d.first:.4f} -> {d.second:.4f}   {d.difference:+.4f}  "
        f"{confidence:.0%} [{d.interval[0]:+.4f}, {d.interval[1]:+.4f}]  p = {d.p:.3f}"
    )


def compare(
    first: Predictions,
    second: Predictions,
    *,
    settings: config.Evaluate,
    seed: int = 0,
    names: tuple[str, str] = ("first", "second"),
) -> Comparison:
    """Differences of two runs on the same records in the same order, second minus first.

    Args:
        first: the run to compare with.
        second: the run that is compared.
        settings: draws (at least 1), confidence and bins.
        seed: of the bootstrap; both runs see the same draws of patients.
        names: what to call the runs.

    Raises:
        InputError: the runs were not measured on the same records and labels, or the settings
            ask for no bootstrap.
    """
    check_same(first, second)
    if not settings.bootstrap:
        raise InputError(
            "a comparison needs a bootstrap, but [evaluate] bootstrap is 0",
            "Set [evaluate] bootstrap = 1000.",
        )
    scores = [overall(run, settings.bins) for run in (first, second)]
    drawn = [
        intervals.resample(run, resamples=settings.bootstrap, seed=seed, bins=settings.bins).scores
        for run in (first, second)
    ]
    return Comparison(
        first=names[0],
        second=names[1],
        n=first.n,
        patients=first.patients,
        resamples=settings.bootstrap,
        confidence=settings.confidence,
        differences=tuple(
            _difference(
                measure,
                (scores[0][measure], scores[1][measure]),
                drawn[1][measure] - drawn[0][measure],
                settings.confidence,
            )
            for measure in drawn[0]
        ),
    )


def _difference(
    measure: str, scores: tuple[float, float], drawn: np.ndarray, confidence: float
) -> Difference:
    difference = scores[1] - scores[0]
    differences = intervals.centred(drawn, difference)
    return Difference(
        measure=measure,
        first=scores[0],
        second=scores[1],
        difference=difference,
        interval=intervals.percentile(differences, confidence),
        p=intervals.two_sided_p(differences),
    )


def check_same(first: Predictions, second: Predictions) -> None:
    """Check that two runs were measured on the same records, labels and task.

    Raises:
        InputError: they were not.
    """
    if first.names != second.names or first.task != second.task:
        raise InputError(
            f"the runs have different label sets ({len(first.names)} and {len(second.names)} "
            f"labels, {first.task} and {second.task})",
            "Compare runs that were trained on the same prepared folder.",
        )
    if first.n != second.n or not np.array_equal(first.patient, second.patient):
        raise InputError(
            f"the runs were measured on different records ({first.n} and {second.n})", ONE_TABLE
        )
    differ = int((first.truth != second.truth).any(axis=1).sum())
    if differ:
        raise InputError(
            f"the labels of {differ:,} of the {first.n:,} records are not the same in both runs",
            ONE_TABLE,
        )

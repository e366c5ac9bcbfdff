"""Which method of explanation to believe: faithfulness with intervals by patient.

A method is worth showing where deleting what it names takes more from the prediction than
deleting what attention names, and than deleting at random, by more than the luck of the draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from emrobust.errors import InputError
from emrobust.evaluate import intervals
from emrobust.explain import THRESHOLDS, Explainer, explain, judge
from emrobust.explain.units import Level
from emrobust.models.estimator import TextClassifier

RANDOM, ATTENTION = "random_order", "attention"


class Estimate(NamedTuple):
    """A mean over records with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Method:
    """One method of explanation on the measured records.

    Attributes:
        name: of the registered explainer.
        signed: whether it can tell what speaks against a label.
        comprehensiveness: mean over records and thresholds; the larger the better.
        sufficiency: likewise; the smaller the better.
        by_threshold: threshold → (comprehensiveness, sufficiency), means over records.
        gain: reference → what its comprehensiveness is better by, paired over the same draws.
    """

    name: str
    signed: bool
    comprehensiveness: Estimate
    sufficiency: Estimate
    by_threshold: Mapping[str, tuple[float, float]]
    gain: Mapping[str, Estimate]

    @property
    def beats(self) -> bool:
        """Whether it is better than every reference by more than chance."""
        return bool(self.gain) and all(of.low > 0.0 for of in self.gain.values())


@dataclass(frozen=True)
class FaithfulnessReport:
    """All methods that the model allows, the most comprehensive first.

    Attributes:
        level: of the units.
        n: records.
        patients: their patients.
        confidence: of the intervals.
        chosen: the method to show, by its comprehensiveness on other records.
        methods: as measured on these records.
    """

    level: Level
    n: int
    patients: int
    confidence: float
    chosen: str
    methods: tuple[Method, ...]

    def of(self, name: str) -> Method:
        """One method.

        Raises:
            KeyError: it was not measured.
        """
        for method in self.methods:
            if method.name == name:
                return method
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = asdict(self)
        for given, method in zip(plain["methods"], self.methods, strict=True):
            given["beats"] = method.beats
            for key in ("comprehensiveness", "sufficiency"):
                given[key] = getattr(method, key)._asdict()
            given["gain"] = {name: of._asdict() for name, of in method.gain.items()}
        return plain


class Sample(NamedTuple):
    """Records to measure on: texts, the label that is explained in each, and whose they are."""

    texts: Sequence[str]
    columns: Sequence[int]
    patients: Sequence[str]


def choose(
    model: TextClassifier, explainers: Mapping[str, Explainer], sample: Sample, level: Level
) -> str:
    """The method with the highest mean comprehensiveness on these records, the control aside."""
    measured = _judge(model, explainers, sample, level)
    means = {name: float(of[0].mean()) for name, of in measured.items() if name != RANDOM}
    return max(means, key=lambda name: means[name])


def measure(
    model: TextClassifier,
    explainers: Mapping[str, Explainer],
    sample: Sample,
    level: Level,
    *,
    chosen: str,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> FaithfulnessReport:
    """Measure methods on records that had no part in the choice.

    Args:
        model: a fitted model.
        explainers: by name; the control ``random_order`` among them.
        sample: records of at least two patients.
        level: whether characters or words are scored.
        chosen: the method that is shown.
        resamples: draws of patients.
        confidence: of the intervals.
        seed: of the draws.

    Raises:
        InputError: fewer than two patients.
    """
    _, patient = np.unique(np.asarray(sample.patients), return_inverse=True)
    count = int(patient.max(initial=-1)) + 1
    if count < 2:
        raise InputError(
            f"faithfulness needs records of at least 2 patients, there are {count}",
            "Intervals resample patients; measure on more records.",
        )
    measured = _judge(model, explainers, sample, level)
    draws = _Draws(patient, count, resamples, confidence, seed)
    references = [name for name in (RANDOM, ATTENTION) if name in measured]
    methods = [
        Method(
            name=name,
            signed=explainers[name].signed,
            comprehensiveness=draws.estimate(full.mean(1)),
            sufficiency=draws.estimate(alone.mean(1)),
            by_threshold={
                f"{share:g}": (float(full[:, k].mean()), float(alone[:, k].mean()))
                for k, share in enumerate(THRESHOLDS)
            },
            gain={
                other: draws.estimate(full.mean(1) - measured[other][0].mean(1))
                for other in references
                if other != name
            },
        )
        for name, (full, alone) in measured.items()
    ]
    methods.sort(key=lambda method: -method.comprehensiveness.value)
    return FaithfulnessReport(level, len(sample.texts), count, confidence, chosen, tuple(methods))


def _judge(
    model: TextClassifier, explainers: Mapping[str, Explainer], sample: Sample, level: Level
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    explained = {
        name: explain(explainer, model, sample.texts, sample.columns, level)
        for name, explainer in explainers.items()
    }
    found = judge(model, sample.texts, sample.columns, explained)
    return {name: (of.comprehensiveness, of.sufficiency) for name, of in found.items()}


class _Draws:
    """Means of records under draws of patients; the same draws for every method."""

    def __init__(
        self, patient: np.ndarray, count: int, resamples: int, confidence: float, seed: int
    ) -> None:
        self._patient, self._count, self._confidence = patient, count, confidence
        self._weights = np.stack(list(intervals.draws(seed, count, resamples))).astype(np.float64)
        self._rows = self._weights @ np.bincount(patient, minlength=count)

    def estimate(self, values: np.ndarray) -> Estimate:
        """The mean and its interval, values [records]."""
        sums = np.bincount(self._patient, weights=values, minlength=self._count)
        drawn = self._weights @ sums / self._rows
        mean = float(values.mean())
        bounds = intervals.percentile(intervals.centred(drawn, mean), self._confidence)
        return Estimate(mean, *bounds)

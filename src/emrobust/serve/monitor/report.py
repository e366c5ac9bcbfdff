"""What ``/v1/monitor`` tells; absent values are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from emrobust.package.drift import Histogram, Reference
from emrobust.serve.monitor import drift
from emrobust.serve.monitor.alarms import Words
from emrobust.serve.monitor.calibration import Calibration as Assessed
from emrobust.serve.monitor.ledger import VERDICTS, Tally
from emrobust.serve.monitor.level import Level
from emrobust.serve.monitor.rates import Rate as Compared
from emrobust.serve.monitor.sketch import Sketch

_DECIMALS = 6
_NUMBERS = ("expected", "observed", "low", "high", "p")  # of a rate


class _Part(BaseModel):
    """Base of all parts."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Bilingual(_Part):
    """A sentence in two languages."""

    zh: str
    en: str


class AlarmOn(_Part):
    """A check that is not calm, or was not at one of the last looks."""

    check: str
    level: Level
    now: Level = Field(
        description="found this time; an alarm ends after three looks that are lower"
    )
    since: str
    value: float | None = None
    threshold: float | None = None
    title: Bilingual
    advice: Bilingual


class Minute(_Part):
    """A minute of the last hour."""

    at: str
    requests: int
    p50: float | None = None
    p95: float | None = None


class Load(_Part):
    """Diagnoses that were waited for, and seconds that half, 95 % and 99 % did not exceed."""

    requests: int
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    minutes: list[Minute]


class Hour(_Part):
    """An hour, for plots."""

    at: str
    requests: int
    abstained: float | None = None
    feedback: int
    accepted: int
    changed: int
    rejected: int
    p50: float | None = None
    p95: float | None = None


class Bin(_Part):
    """Shares of records in a bin, on validation records and of late."""

    start: float | None = Field(None, serialization_alias="from")
    to: float | None = None
    expected: float
    observed: float


class Feature(_Part):
    """A feature of the texts or answers."""

    feature: str
    title: Bilingual
    level: Level
    psi: float
    threshold: float
    p: float
    bins: list[Bin]


class Moved(_Part):
    """A kind of vectors; ``mmd`` is MMD² over the spread of the reference."""

    of: str
    title: Bilingual
    mmd: float
    threshold: float
    p: float
    level: Level


class Input(_Part):
    """Texts and answers against the package's reference."""

    level: Level
    records: int | None = None
    reference: int | None = None
    features: list[Feature] | None = None
    shifts: list[Moved] | None = None


class Rate(_Part):
    """A label's rate."""

    label: str
    expected: float
    observed: float
    low: float
    high: float
    p: float
    level: Level


class Labels(_Part):
    """All labels' rates, the surest changes first."""

    level: Level
    records: int | None = None
    rows: list[Rate] | None = None


class CalibrationBin(_Part):
    """Pairs of record and label with probabilities of a tenth of the scale."""

    start: float = Field(serialization_alias="from")
    to: float
    expected: float
    observed: float
    count: int


class Calibration(_Part):
    """Probabilities against feedback."""

    level: Level
    records: int | None = None
    ece: float | None = None
    ece_low: float | None = None
    ece_high: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    p: float | None = None
    bins: list[CalibrationBin] | None = None


class Feedback(_Part):
    """How often doctors answer, and what."""

    level: Level
    predictions: int
    answered: int
    rate: float | None = None
    accepted: float | None = None
    changed: float | None = None
    rejected: float | None = None


class Abstention(_Part):
    """How often the model is not sure."""

    level: Level
    observed: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None


class Shadow(_Part):
    """A version that answers silently, beside the one whose answers are shown."""

    compared: int
    same_first: float = Field(description="share with the same likeliest label")
    same: float = Field(description="share with the same decision: the same labels, or not sure")


class Report(_Part):
    """One model over some hours."""

    hours: int
    start: str = Field(serialization_alias="from")
    to: str
    model: str
    models: list[str]
    level: Level
    alarms: list[AlarmOn]
    load: Load
    history: list[Hour]
    input: Input
    labels: Labels
    calibration: Calibration
    feedback: Feedback
    abstention: Abstention
    shadow: Shadow | None = None


def describe_load(tally: Tally, minutes: Sequence[tuple[str, Tally]]) -> Load:
    """Requests and latency."""
    return Load(
        requests=tally.requests,
        p50=tally.quantile(0.5),
        p95=tally.quantile(0.95),
        p99=tally.quantile(0.99),
        minutes=[
            Minute(at=at, requests=of.requests, p50=of.quantile(0.5), p95=of.quantile(0.95))
            for at, of in minutes
            if of.requests
        ],
    )


def describe_hours(hours: Sequence[tuple[str, Tally]]) -> list[Hour]:
    """Each hour for plots."""
    return [
        Hour(
            at=at,
            requests=of.requests,
            abstained=share(of.abstained, of.notes),
            feedback=len(of.answered),
            p50=of.quantile(0.5),
            p95=of.quantile(0.95),
            **{name: of.verdicts[name] for name in VERDICTS},
        )
        for at, of in hours
    ]


def describe_features(
    shifts: Sequence[drift.Shift], sketch: Sketch, reference: Reference, words: Mapping[str, Words]
) -> list[Feature]:
    """Features with their histograms."""
    return [
        Feature(
            feature=of.name,
            title=Bilingual(**words[f"input.{of.name}"].title),
            level=of.level,
            psi=_round(of.size),
            threshold=_round(of.threshold),
            p=_round(of.p),
            bins=_bins(sketch.counts[of.name], reference.features[of.name]),
        )
        for of in shifts
    ]


def _bins(counts: np.ndarray, histogram: Histogram) -> list[Bin]:
    edges = [None, *histogram.edges.tolist(), None]
    now, before = counts / counts.sum(), histogram.counts / histogram.counts.sum()
    return [
        Bin(start=low, to=high, expected=_round(was), observed=_round(is_))
        for low, high, was, is_ in zip(edges, edges[1:], before, now, strict=False)
    ]


def describe_shifts(shifts: Sequence[drift.Shift], words: Mapping[str, Words]) -> list[Moved]:
    """Vectors."""
    return [
        Moved(
            of=shift.name,
            title=Bilingual(**words[f"input.{shift.name}"].title),
            mmd=_round(shift.size),
            threshold=_round(shift.threshold),
            p=_round(shift.p),
            level=shift.level,
        )
        for shift in shifts
    ]


def describe_rates(rates: Sequence[Compared]) -> list[Rate]:
    """Labels."""
    return [Rate(label=of.name, level=of.level, **_numbers(of)) for of in rates]


def describe_calibration(found: Assessed, records: int) -> Calibration:
    """Probabilities against feedback."""
    return Calibration(
        level=found.level,
        records=records,
        ece=_round(found.ece),
        ece_low=_round(found.ece_interval[0]),
        ece_high=_round(found.ece_interval[1]),
        ratio=_round(found.ratio),
        ratio_low=_round(found.ratio_interval[0]),
        ratio_high=_round(found.ratio_interval[1]),
        p=_round(found.p),
        bins=[
            CalibrationBin(start=low, to=high, expected=_round(p), observed=_round(y), count=count)
            for low, high, p, y, count in found.bins
        ],
    )


def describe_feedback(tally: Tally, level: Level) -> Feedback:
    """How often doctors answer."""
    answered = len(tally.answered)
    return Feedback(
        level=level,
        predictions=tally.requests,
        answered=answered,
        rate=share(answered, tally.requests),
        **{name: share(tally.verdicts[name], answered) for name in VERDICTS},
    )


def describe_abstention(rate: Compared) -> Abstention:
    """How often the model is not sure."""
    return Abstention(level=rate.level, **_numbers(rate))


def describe_shadow(tally: Tally) -> Shadow | None:
    """How often a shadow says what was shown; None where it has said nothing."""
    if not tally.beside:
        return None
    return Shadow(
        compared=tally.beside,
        same_first=_round(tally.same_first / tally.beside),
        same=_round(tally.same / tally.beside),
    )


def share(count: int, of: int) -> float | None:
    """A share; None of nothing."""
    return _round(min(count / of, 1.0)) if of else None


def _numbers(of: Compared) -> dict[str, float]:
    return {name: _round(getattr(of, name)) for name in _NUMBERS}


def _round(value: float) -> float:
    return round(float(value), _DECIMALS)

"""Are the texts and the answers of late like those of the package's validation records?

Features are compared by the population stability index (PSI) with its usual bands, .1 and .25.
Where nothing has changed, PSI / (1/n + 1/m) is about chi-square with one degree of freedom a bin
less one (Yurdakul & Naranjo 2020), so for few records the bands are too narrow; the higher of band
and quantile counts. Vectors are compared by MMD², see `emrobust.package.drift`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, chdtri

from emrobust.evaluate.significance import holm
from emrobust.package.drift import Histogram, Reference, Space
from emrobust.serve.monitor.level import ALARM_P, Floats, Level, Limits, judge
from emrobust.serve.monitor.sketch import Sketch

# MMD² over the spread of the reference's vectors; `bench/drift.py` shows what lies where.
MMD = Limits(0.003, 0.015)
_EMPTY = 0.5  # counted into every bin, so that an empty one is no infinity


@dataclass(frozen=True)
class Shift:
    """How far a feature or a kind of vectors has moved.

    Attributes:
        name: of the feature or the space.
        size: PSI; or MMD² less what chance gives, over the spread of the reference.
        threshold: what it takes for an alarm, with so many records.
        p: of so much by chance; of all features or spaces together (Holm).
        level: of it.
    """

    name: str
    size: float
    threshold: float
    p: float
    level: Level


def compare_features(sketch: Sketch, reference: Reference, limits: Limits) -> list[Shift]:
    """PSI of each feature that varied in the reference, or does now."""
    found = []
    for name, histogram in reference.features.items():
        size, p, chance = compare_counts(sketch.counts[name], histogram)
        found.append((name, size, p, chance))
    adjusted = holm([p for _, _, p, _ in found])
    return [
        Shift(name, size, max(limits.alarm, chance), float(p), judge(size, float(p), limits))
        for (name, size, _, chance), p in zip(found, adjusted, strict=True)
    ]


def compare_counts(counts: Floats, reference: Histogram) -> tuple[float, float, float]:
    """PSI, its p-value, and the PSI that chance exceeds once in `ALARM_P`."""
    now, before = counts + _EMPTY, reference.counts + _EMPTY
    share, expected = now / now.sum(), before / before.sum()
    size = float(((share - expected) * np.log(share / expected)).sum())
    spread = 1 / max(counts.sum(), 1) + 1 / max(reference.counts.sum(), 1)
    freedom = len(counts) - 1
    return size, float(chdtrc(freedom, size / spread)), float(chdtri(freedom, ALARM_P) * spread)


def compare_vectors(sketch: Sketch, reference: Reference) -> list[Shift]:
    """MMD² of each kind of vectors."""
    names = list(reference.spaces)
    tested = [
        weigh_mean(sketch.sums[of] / sketch.rows, sketch.rows, reference.spaces[of], reference.rows)
        for of in names
    ]
    adjusted = holm([p for _, p, _ in tested])
    return [
        Shift(name, size, max(MMD.alarm, chance), float(p), judge(size, float(p), MMD))
        for name, (size, _, chance), p in zip(names, tested, adjusted, strict=True)
    ]


def weigh_mean(mean: Floats, rows: int, space: Space, known: int) -> tuple[float, float, float]:
    """Size, p-value, and the size that chance exceeds once in `ALARM_P`."""
    spread = 1 / rows + 1 / known
    squared = float(((mean - space.mean) ** 2).sum())
    scaled = squared / spread
    above = len(space.null) - int(np.searchsorted(space.null, scaled))
    total = float(space.spectrum.sum()) + space.rest
    chance = float(np.quantile(space.null, 1 - ALARM_P))
    unit = spread / max(total, 1e-12)
    return (scaled - total) * unit, (above + 1) / (len(space.null) + 1), (chance - total) * unit

"""Is a label, or silence, more or less frequent than on the package's validation records?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, bdtrc

from emrobust.evaluate.significance import holm
from emrobust.serve.monitor.level import Level, Limits, judge

# Ratio of the odds, one way or the other.
ODDS = Limits(1.5, 2.0)
_Z = 1.959964


@dataclass(frozen=True)
class Rate:
    """How often something happens now, and how often it did.

    Attributes:
        name: the label.
        expected: share of the validation records.
        observed: share of the records of late.
        low: of a 95 % interval around what is observed (Wilson 1927).
        high: likewise.
        p: of such a difference by chance; of all labels together (Holm).
        level: of it.
    """

    name: str
    expected: float
    observed: float
    low: float
    high: float
    p: float
    level: Level


def compare(
    counts: Mapping[str, int], records: int, expected: Mapping[str, float], known: int
) -> list[Rate]:
    """Rates of labels, the surest changes first.

    Args:
        counts: how often each was chosen.
        records: of late.
        expected: label → share of the validation records.
        known: validation records.
    """
    names = list(expected)
    raw = [weigh(counts.get(of, 0), records, expected[of], known) for of in names]
    adjusted = holm(raw)
    rates = [
        _rate(name, (counts.get(name, 0), records), (expected[name], known), p)
        for name, p in zip(names, adjusted, strict=True)
    ]
    return [rates[place] for place in np.lexsort((raw, adjusted))]


def weigh(count: int, records: int, expected: float, known: int) -> float:
    """Two-sided p-value that two counts come from one rate.

    Given their sum, the first is binomial with the share of the records as its chance: exact for
    rare labels, and a little cautious for common ones.
    """
    before = round(expected * known)
    together, chance = count + before, records / (records + known)
    below = float(bdtr(count, together, chance))
    above = float(bdtrc(count - 1, together, chance)) if count else 1.0
    return min(1.0, 2 * min(below, above))


def _rate(name: str, now: tuple[int, int], before: tuple[float, int], p: float) -> Rate:
    """A rate from its count and records now, and its share and records before."""
    (count, records), (expected, known) = now, before
    share = count / records
    middle = (share + _Z**2 / 2 / records) / (1 + _Z**2 / records)
    half = _Z * np.sqrt(share * (1 - share) / records + _Z**2 / 4 / records**2)
    half = float(half / (1 + _Z**2 / records))
    odds = (count + 0.5) / (records - count + 0.5)
    odds /= (expected * known + 0.5) / ((1 - expected) * known + 0.5)
    size = max(odds, 1 / odds)
    return Rate(
        name, expected, share, max(middle - half, 0), min(middle + half, 1), p, judge(size, p, ODDS)
    )

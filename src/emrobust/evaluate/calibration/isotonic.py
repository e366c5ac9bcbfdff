"""Isotonic: the best rising curve of each label; a rare label takes that of all together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from emrobust.evaluate.calibration.calibrator import Calibrator
from emrobust.evaluate.metrics import Floats, Indicator, ratio
from emrobust.registry import register

# Labels with fewer cases, or fewer records without them, take the curve of all labels together.
_CASES = 30
_DIGITS = 7
Curve = tuple[np.ndarray, np.ndarray]


@register("calibrator")
class Isotonic(Calibrator):
    """Any rising curve; needs more cases than the scalings do, and never says 0 or 1."""

    source: ClassVar[str] = "Zadrozny & Elkan 2002"
    common: Curve
    curves: list[Curve | None]

    def fit(self, truth: Indicator, probability: Floats) -> Self:
        """See `Calibrator.fit`."""
        self.common = _fit(probability.ravel(), truth.ravel())
        cases = np.minimum(truth.sum(axis=0), len(truth) - truth.sum(axis=0))
        self.curves = [
            _fit(probability[:, k], truth[:, k]) if cases[k] >= _CASES else None
            for k in range(truth.shape[1])
        ]
        return self

    def apply(self, probability: Floats) -> Floats:
        """See `Calibrator.apply`."""
        columns = [
            np.interp(probability[:, k], *(curve or self.common))
            for k, curve in enumerate(self.curves)
        ]
        mapped = np.stack(columns, axis=1) if columns else probability.astype(np.float64)
        if self.task == "single":
            return ratio(mapped, mapped.sum(axis=1, keepdims=True))
        return mapped

    def parameters(self) -> dict[str, Any]:
        """See `Calibrator.parameters`."""
        return {
            "common": [part.tolist() for part in self.common],
            "curves": [curve and [part.tolist() for part in curve] for curve in self.curves],
        }

    def _take(self, parameters: Mapping[str, Any]) -> None:
        self.common = _curve(parameters["common"])
        self.curves = [curve and _curve(curve) for curve in parameters["curves"]]


def _curve(saved: Any) -> Curve:
    return np.array(saved[0], dtype=np.float64), np.array(saved[1], dtype=np.float64)


def _fit(probability: Floats, truth: Indicator) -> Curve:
    """Corners of the curve; its ends stay away from 0 and 1 as far as the records can tell."""
    # Late: a service applies curves and fits none, and scikit-learn takes seconds to load.
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(probability, truth)
    room = 0.5 / (len(truth) + 1)
    x = np.round(fitted.X_thresholds_, _DIGITS)
    y = np.round(np.clip(fitted.y_thresholds_, room, 1 - room), _DIGITS)
    return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)

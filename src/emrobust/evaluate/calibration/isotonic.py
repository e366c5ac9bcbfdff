"""Isotonic: the best rising curve of each label; a rare label takes that of all together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from emrobust.evaluate.calibration.calibrator import Calibrator
from emrobust.evaluate.metrics import Floats, Indicator, ratio
from emrobust.registry import register

# Cases that the curve of all labels counts for, in the curve of one.
_PRIOR = 10
# Share of the model's own probability in the calibrated one: flat parts rise, so nothing ties.
_SLOPE = 1e-3
_DIGITS = 9
Curve = tuple[np.ndarray, np.ndarray]


@register("calibrator")
class Isotonic(Calibrator):
    """A rising curve of any form for each label; never says 0 or 1.

    A label's curve is drawn towards that of all labels, the more the fewer cases it has. It rises
    everywhere, if by little, so that no ranking is lost.
    """

    source: ClassVar[str] = "Zadrozny & Elkan 2002"
    curves: list[Curve]

    def fit(self, truth: Indicator, probability: Floats) -> Self:
        """See `Calibrator.fit`."""
        common = _fit(probability.ravel(), truth.ravel(), len(truth))
        cases = np.minimum(truth.sum(axis=0), len(truth) - truth.sum(axis=0))
        self.curves = [
            _mix(_fit(probability[:, k], truth[:, k], len(truth)), common, n / (n + _PRIOR))
            for k, n in enumerate(cases.tolist())
        ]
        return self

    def apply(self, probability: Floats) -> Floats:
        """See `Calibrator.apply`."""
        columns = [np.interp(probability[:, k], *curve) for k, curve in enumerate(self.curves)]
        mapped = np.stack(columns, axis=1) if columns else probability.astype(np.float64)
        if self.task == "single":
            return ratio(mapped, mapped.sum(axis=1, keepdims=True))
        return mapped

    def parameters(self) -> dict[str, Any]:
        """See `Calibrator.parameters`."""
        return {"curves": [[part.tolist() for part in curve] for curve in self.curves]}

    def _take(self, parameters: Mapping[str, Any]) -> None:
        self.curves = [
            (np.array(x, dtype=np.float64), np.array(y, dtype=np.float64))
            for x, y in parameters["curves"]
        ]


def _fit(probability: Floats, truth: Indicator, records: int) -> Curve:
    """Corners of the best rising curve.

    Its ends stay away from 0 and 1 as far as the records can tell: below by the decisions that were
    looked at, above by the records, alike for a label and for all of them, so that the likeliest
    label of a text does not depend on which had more cases.
    """
    # Late: a service applies curves and fits none, and scikit-learn takes seconds to load.
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(probability, truth)
    low, high = 0.5 / (len(truth) + 1), 0.5 / (records + 1)
    x = np.asarray(fitted.X_thresholds_, dtype=np.float64)
    return x, np.clip(np.asarray(fitted.y_thresholds_, dtype=np.float64), low, 1 - high)


def _mix(own: Curve, common: Curve, weight: float) -> Curve:
    """The weighted mean of two curves, from 0 to 1 and rising everywhere."""
    x = np.unique(np.concatenate([[0.0, 1.0], own[0], common[0]]).round(_DIGITS))
    y = weight * np.interp(x, *own) + (1 - weight) * np.interp(x, *common)
    return x, ((1 - _SLOPE) * y + _SLOPE * x).round(_DIGITS)

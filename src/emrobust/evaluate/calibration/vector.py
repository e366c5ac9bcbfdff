"""Vector: a slope and a shift of the log-odds for each label, rare labels near the common ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from scipy.optimize import minimize

from emrobust.evaluate.calibration.calibrator import Calibrator, logits, squash
from emrobust.evaluate.metrics import Floats, Indicator
from emrobust.registry import register

# A label's slope and shift are taken to lie about 0.5 around those of all labels together; in
# records of validation that say otherwise this weighs as much as a handful of cases.
_SPREAD = 0.5
_LEAST_SLOPE = 0.05


@register("calibrator")
class Vector(Calibrator):
    """Per-label scaling (Platt's, with a prior), so that labels may be wrong in different ways."""

    source: ClassVar[str] = "Guo et al. 2017 (vector scaling); Platt 1999"
    slope: np.ndarray
    shift: np.ndarray

    def fit(self, truth: Indicator, probability: Floats) -> Self:
        """See `Calibrator.fit`."""
        given = logits(probability, self.task)
        labels = truth.shape[1]
        common = self._descend(truth, given, np.array([1.0, 0.0]), strength=0.0)
        if self.task == "single":
            common[1] = 0.0  # a shift of all classes alike says nothing
        start = np.repeat(common, labels)
        found = self._descend(truth, given, start, strength=1 / _SPREAD**2)
        self.slope, self.shift = found[:labels], found[labels:]
        return self

    def _descend(
        self, truth: Indicator, given: Floats, start: np.ndarray, strength: float
    ) -> np.ndarray:
        """Slopes and shifts of the least loss; with two numbers in ``start``, common ones."""
        labels = truth.shape[1]
        half = len(start) // 2

        def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
            scores = given * values[:half] + values[half:]
            off = squash(scores, self.task) - truth
            slope, shift = (off * given).sum(axis=0), off.sum(axis=0)
            if half < labels:
                slope, shift = slope.sum(keepdims=True), shift.sum(keepdims=True)
            away = values - start
            total = _total(scores, truth, self.task) + strength / 2 * float(away @ away)
            return total, np.concatenate([slope, shift]) + strength * away

        bounds = [(_LEAST_SLOPE, None)] * half + [(None, None)] * half
        done = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
        return np.asarray(done.x, dtype=np.float64)

    def apply(self, probability: Floats) -> Floats:
        """See `Calibrator.apply`."""
        return squash(logits(probability, self.task) * self.slope + self.shift, self.task)

    def parameters(self) -> dict[str, Any]:
        """See `Calibrator.parameters`."""
        return {"slope": self.slope.tolist(), "shift": self.shift.tolist()}

    def _take(self, parameters: Mapping[str, Any]) -> None:
        self.slope = np.array(parameters["slope"], dtype=np.float64)
        self.shift = np.array(parameters["shift"], dtype=np.float64)


def _total(scores: Floats, truth: Indicator, task: str) -> float:
    """Summed negative log-likelihood of scores [n, K] before the squashing."""
    if task == "single":
        return float((np.logaddexp.reduce(scores, axis=1) - (scores * truth).sum(axis=1)).sum())
    return float((np.logaddexp(0.0, scores) - scores * truth).sum())

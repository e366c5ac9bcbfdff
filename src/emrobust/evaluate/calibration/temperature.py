"""Temperature: one number divides all log-odds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from scipy.optimize import minimize_scalar

from emrobust.evaluate.calibration.calibrator import Calibrator, logits, nll, squash
from emrobust.evaluate.metrics import Floats, Indicator
from emrobust.registry import register

_BOUNDS = (np.log(0.05), np.log(20.0))


@register("calibrator")
class Temperature(Calibrator):
    """Softens (above 1) or sharpens (below 1) all probabilities alike; it keeps every ranking."""

    source: ClassVar[str] = "Guo et al. 2017; for several labels on each label's log-odds"
    temperature: float = 1.0

    def fit(self, truth: Indicator, probability: Floats) -> Self:
        """See `Calibrator.fit`."""
        given = logits(probability, self.task)

        def loss(log_temperature: float) -> float:
            return nll(truth, squash(given / np.exp(log_temperature), self.task), self.task)

        found = minimize_scalar(loss, bounds=_BOUNDS, method="bounded", options={"xatol": 1e-4})
        self.temperature = float(np.exp(found.x))
        return self

    def apply(self, probability: Floats) -> Floats:
        """See `Calibrator.apply`."""
        return squash(logits(probability, self.task) / self.temperature, self.task)

    def parameters(self) -> dict[str, Any]:
        """See `Calibrator.parameters`."""
        return {"temperature": self.temperature}

    def _take(self, parameters: Mapping[str, Any]) -> None:
        self.temperature = float(parameters["temperature"])

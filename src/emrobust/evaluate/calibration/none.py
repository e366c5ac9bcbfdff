"""None: the model's own probabilities, as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from emrobust.evaluate.calibration.calibrator import Calibrator
from emrobust.evaluate.metrics import Floats, Indicator
from emrobust.registry import register


@register("calibrator")
class Uncalibrated(Calibrator):
    """Changes nothing; it is chosen where the others do no better on validation records."""

    source: ClassVar[str] = ""

    def fit(self, truth: Indicator, probability: Floats) -> Self:  # noqa: ARG002 - of the base
        """See `Calibrator.fit`."""
        return self

    def apply(self, probability: Floats) -> Floats:
        """See `Calibrator.apply`."""
        return probability.astype("float64")

    def parameters(self) -> dict[str, Any]:
        """See `Calibrator.parameters`."""
        return {}

    def _take(self, parameters: Mapping[str, Any]) -> None:
        pass

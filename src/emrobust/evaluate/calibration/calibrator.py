"""What every calibrator is: a map of probabilities, fitted on records that trained nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self, cast

import numpy as np
from scipy.special import expit, softmax

from emrobust import registry
from emrobust.errors import RunError
from emrobust.evaluate.metrics import Floats, Indicator
from emrobust.evaluate.predictions import Task

# Probabilities are kept this far from 0 and 1: nearer ones are rounding of float32.
_LEAST = 1e-7


class Calibrator(ABC):
    """A component is one file of this room with ``@register("calibrator")``.

    A multi-label calibrator maps each label's probability by a function that does not fall, so
    that it changes no ranking within a label. A single-label one gives rows that sum to one.
    Decisions are never changed by it: thresholds were tuned on the model's own scores.

    Args:
        task: ``multi`` or ``single``.
    """

    def __init__(self, task: Task = "multi") -> None:
        self.task: Task = task

    @abstractmethod
    def fit(self, truth: Indicator, probability: Floats) -> Self:
        """Learn from truth and probabilities [n, K] of records that trained nothing."""

    @abstractmethod
    def apply(self, probability: Floats) -> Floats:
        """Calibrated probabilities [n, K], float64."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """What `fit` found, as plain values."""

    @abstractmethod
    def _take(self, parameters: Mapping[str, Any]) -> None:
        """Set what `parameters` gave."""

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return type(self).__module__.rpartition(".")[2]

    def to_json(self) -> dict[str, Any]:
        """Plain values that `restore` reads back."""
        return {"name": self.name, "task": self.task, "parameters": self.parameters()}

    def set_parameters(self, parameters: Mapping[str, Any]) -> Self:
        """The calibrator with these parameters, as if fitted."""
        self._take(parameters)
        return self


def kind(name: str) -> type[Calibrator]:
    """The calibrator of this name.

    Raises:
        ConfigError: there is none; suggests the nearest.
    """
    return cast("type[Calibrator]", registry.get("calibrator", name))


def restore(saved: Mapping[str, Any]) -> Calibrator:
    """The calibrator that `Calibrator.to_json` wrote.

    Raises:
        RunError: it is of another version.
    """
    try:
        return kind(saved["name"])(saved["task"]).set_parameters(saved["parameters"])
    except (KeyError, TypeError, ValueError):
        raise RunError(
            "the calibration of the run cannot be read", "Train again with this version."
        ) from None


def logits(probability: Floats, task: Task) -> Floats:
    """Log-odds of each label, or log-probabilities of a single-label row: [n, K]."""
    inside = np.clip(np.asarray(probability, dtype=np.float64), _LEAST, 1 - _LEAST)
    if task == "single":
        return np.asarray(np.log(inside))
    return np.asarray(np.log(inside) - np.log1p(-inside))


def squash(logit: Floats, task: Task) -> Floats:
    """The inverse of `logits`: sigmoid, or softmax of a row."""
    return np.asarray(softmax(logit, axis=1) if task == "single" else expit(logit))


def nll(truth: Indicator, probability: Floats, task: Task) -> float:
    """Mean negative log-likelihood: of a label decision, or of a single-label record."""
    inside = np.clip(probability, _LEAST, 1 - _LEAST)
    if task == "single":
        return float(-np.log(inside[truth == 1]).mean())
    return float(-np.where(truth == 1, np.log(inside), np.log1p(-inside)).mean())

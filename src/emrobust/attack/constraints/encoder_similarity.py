"""The changed text means much the same to an encoder that has not been trained on the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from emrobust.attack.constraint import Constraint, Trial
from emrobust.attack.reader import Reader
from emrobust.encoder import embedded
from emrobust.registry import register


@register("constraint")
class EncoderSimilarity(Constraint):
    """Cosine of mean states. Each trial costs a pass, so it about doubles an attack's time.

    Args:
        minimum: smallest cosine.
        checkpoint: a folder or name, as ``model.checkpoint`` takes it.
        pooling: how the states become one.
    """

    def __init__(
        self,
        *,
        minimum: Annotated[float, Field(ge=-1, le=1)] = 0.9,
        checkpoint: str = embedded.NAME,
        pooling: Literal["cls", "mean", "cls+mean"] = "mean",
    ) -> None:
        self.minimum = minimum
        self.checkpoint = checkpoint
        self.pooling = pooling
        self._reader: Reader | None = None
        self._originals: dict[str, np.ndarray] = {}

    def allows(self, trials: Sequence[Trial]) -> list[bool]:
        """See `Constraint.allows`."""
        if self._reader is None:
            self._reader = Reader.of_checkpoint(self.checkpoint, self.pooling)
        fresh = sorted({trial.text for trial in trials} - self._originals.keys())
        self._originals.update(zip(fresh, _unit(self._reader.features(fresh)), strict=True))
        changed = _unit(self._reader.features([trial.edited for trial in trials]))
        return [
            float(state @ self._originals[trial.text]) >= self.minimum
            for state, trial in zip(changed, trials, strict=True)
        ]


def _unit(states: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    lengths: np.ndarray = np.linalg.norm(states, axis=1, keepdims=True)
    turned: np.ndarray = states / np.maximum(lengths, 1e-12)
    return turned

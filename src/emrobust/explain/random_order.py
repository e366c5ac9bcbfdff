"""Control: scores drawn at random. A method that is no better says nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from emrobust import rng
from emrobust.explain.explainer import Explainer
from emrobust.explain.units import Unit
from emrobust.models.estimator import TextClassifier
from emrobust.registry import register


@register("explainer")
class RandomOrder(Explainer):
    """Every order of the units is as likely as any other; the same text has the same.

    Args:
        seed: another seed gives other orders.
    """

    source: ClassVar[str] = "control"
    signed: ClassVar[bool] = False

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def refuses(self, model: TextClassifier) -> str:
        """Nothing."""
        del model
        return ""

    def score(
        self,
        model: TextClassifier,
        texts: Sequence[str],
        columns: Sequence[int],
        pieces: Sequence[Sequence[Unit]],
    ) -> list[np.ndarray]:
        """Numbers from 0 to 1."""
        del model, columns
        return [
            rng.generator(self.seed, "explain", hashlib.sha256(text.encode()).hexdigest()).random(
                len(of_text)
            )
            for text, of_text in zip(texts, pieces, strict=True)
        ]

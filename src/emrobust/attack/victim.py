"""The model under attack: what may be asked of it, and how quickly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from emrobust.attack.goal import Floats, Mask
from emrobust.attack.reader import BATCH_TOKENS, Reader
from emrobust.errors import ModelError
from emrobust.train import NeuralClassifier


class Victim:
    """A fitted classifier, asked for probabilities.

    A network is searched with quick, less exact passes. Whatever they call a success is asked
    again by `exact`, which is the model's own prediction, so nothing is reported that a user of
    the model would not see.

    Args:
        model: a fitted `TextClassifier`, or anything with its attributes ``predict_proba``,
            ``classes_``, ``task_`` and ``thresholds_``.
        names: the labels, in column order; absent: the model's classes.
        batch_tokens: of the quick passes.

    Raises:
        ModelError: the model gives no probabilities.
    """

    def __init__(
        self, model: Any, names: Sequence[str] | None = None, batch_tokens: int = BATCH_TOKENS
    ) -> None:
        missing = [
            name
            for name in ("predict_proba", "classes_", "task_", "thresholds_")
            if not hasattr(model, name)
        ]
        if missing:
            raise ModelError(
                f"a {type(model).__name__} cannot be attacked: it has no {', '.join(missing)}",
                "Give a fitted classifier of emrobust, or wrap yours so that it predicts"
                " probabilities.",
            )
        self.model = model
        self.task: str = model.task_
        self.names = tuple(str(name) for name in (model.classes_ if names is None else names))
        self.thresholds: Floats | None = None
        if self.task == "multi":
            self.thresholds = np.asarray(model.thresholds_, dtype=np.float64)
        self._reader: Reader | None = None
        if isinstance(model, NeuralClassifier):
            self._reader = Reader(model.network_, model.max_length, batch_tokens)

    def exact(self, texts: Sequence[str]) -> Floats:
        """The model's own probabilities [texts, K]."""
        if not texts:
            return np.zeros((0, len(self.names)))
        return np.asarray(self.model.predict_proba(list(texts)), dtype=np.float64)

    def quick(self, texts: Sequence[str]) -> Floats:
        """Nearly the same [texts, K], as quickly as the machine can."""
        if self._reader is None or not texts:
            return self.exact(texts)
        normalizer = self.model.normalizer
        read = list(texts) if normalizer is None else normalizer(list(texts))
        logits = self._reader.logits(read).astype(np.float64)
        if self.task == "single":
            lifted = np.exp(logits - logits.max(axis=1, keepdims=True))
            chances: Floats = lifted / lifted.sum(axis=1, keepdims=True)
            return chances
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0))))

    def decide(self, probability: Floats) -> Mask:
        """What the model predicts for these probabilities [n, K]."""
        if self.thresholds is not None:
            return probability >= self.thresholds
        decided = np.zeros(probability.shape, dtype=bool)
        decided[np.arange(len(decided)), probability.argmax(axis=1)] = True
        return decided

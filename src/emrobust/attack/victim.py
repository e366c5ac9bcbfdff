"""The model under attack: what may be asked of it, and how quickly."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.special import expit, softmax

from emrobust.attack.goal import Floats, Mask
from emrobust.attack.int8 import Int8Reader
from emrobust.attack.reader import Reader
from emrobust.errors import ModelError
from emrobust.models.transformer import Transformer
from emrobust.onnx import probe
from emrobust.train import NeuralClassifier


class Victim:
    """A fitted classifier, asked for probabilities.

    A network is searched with quick, less exact passes: an encoder on a processor in int8, if
    that says nearly the same as the model on made-up texts, and any other in bf16. Whatever they
    call a success is asked again by `exact`, which is the model's own prediction, so nothing is
    reported that a user of the model would not see.

    Args:
        model: a fitted `TextClassifier`, or anything with its attributes ``predict_proba``,
            ``classes_``, ``task_`` and ``thresholds_``.
        names: the labels, in column order; absent: the model's classes.

    Raises:
        ModelError: the model gives no probabilities.
    """

    def __init__(self, model: Any, names: Sequence[str] | None = None) -> None:
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

    def exact(self, texts: Sequence[str]) -> Floats:
        """The model's own probabilities [texts, K]."""
        if not texts:
            return np.zeros((0, len(self.names)))
        return np.asarray(self.model.predict_proba(list(texts)), dtype=np.float64)

    def quick(self, groups: Sequence[Sequence[str]]) -> list[Floats]:
        """Nearly the same, as quickly as the machine can.

        Args:
            groups: of texts; the answers for a group depend on no other.

        Returns:
            Probabilities [texts, K] of each group.
        """
        ends = np.cumsum([len(group) for group in groups])
        if not len(ends) or not ends[-1]:
            return [self.exact([]) for _ in groups]
        if self.reader is None:
            found = self.exact([text for group in groups for text in group])
        else:
            found = self._read(self.reader, groups)
        return np.split(found, ends[:-1])

    @functools.cached_property
    def reader(self) -> Int8Reader | Reader | None:
        """What answers quickly; None where the model is no network."""
        model = self.model
        if not isinstance(model, NeuralClassifier):
            return None
        network = model.network_
        if isinstance(network, Transformer) and next(network.parameters()).device.type == "cpu":
            try:
                made = Int8Reader(network, model.max_length, torch.get_num_threads())
            except ModelError:
                pass  # ONNX cannot express it
            else:
                if self._agrees(made):
                    return made
        return Reader(network, model.max_length)

    def _agrees(self, reader: Int8Reader) -> bool:
        """Whether it says on made-up texts nearly what the model says."""
        texts = probe.texts()
        off = np.abs(self._read(reader, [[text] for text in texts]) - self.exact(texts))
        return bool(off.max() <= probe.INT8_LARGEST and off.mean() <= probe.INT8_MEAN)

    def _read(self, reader: Int8Reader | Reader, groups: Sequence[Sequence[str]]) -> Floats:
        """Probabilities of all groups' texts [texts, K]."""
        normalizer = self.model.normalizer
        if normalizer is not None:
            groups = [normalizer(list(group)) for group in groups]
        logits = reader.logits(groups).astype(np.float64)
        chances: Floats = softmax(logits, axis=1) if self.task == "single" else expit(logits)
        return chances

    def decide(self, probability: Floats) -> Mask:
        """What the model predicts for these probabilities [n, K]."""
        if self.thresholds is not None:
            return probability >= self.thresholds
        decided = np.zeros(probability.shape, dtype=bool)
        decided[np.arange(len(decided)), probability.argmax(axis=1)] = True
        return decided

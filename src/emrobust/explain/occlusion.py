"""Occlusion: how much the label's log odds fall when a unit is deleted; for every model.

It asks the model itself, so it needs one prediction a unit and sees no more than one unit's
absence at a time: of two words that say the same, each looks superfluous. ``window`` deletes
neighbours together and gives each the mean of the windows that it was in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from emrobust.explain.explainer import Explainer, beginning
from emrobust.explain.units import Unit, without
from emrobust.models.estimator import TextClassifier
from emrobust.registry import register

# Probabilities in float32 end here: beyond, the log odds would be infinite.
_LEAST = 1e-7
_AT_ONCE = 4096


@register("explainer")
class Occlusion(Explainer):
    """Delete units one after the other.

    Args:
        window: so many neighbouring units are deleted together.
    """

    source: ClassVar[str] = "Zeiler & Fergus 2014 (1311.2901); Li et al. 2016 (1612.08220)"

    def __init__(self, *, window: Annotated[int, Field(ge=1, le=9)] = 1) -> None:
        self.window = window

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
        """Falls of the log odds."""
        seen = [beginning(model, text) for text in texts]
        shorter = [
            [without(text, of_text[at : at + self.window]) for at in self._starts(of_text)]
            for text, of_text in zip(seen, pieces, strict=True)
        ]
        variants = [text for row, of in enumerate(shorter) for text in (seen[row], *of)]
        owner = np.repeat(np.arange(len(texts)), [len(of) + 1 for of in shorter])
        odds = log_odds(probabilities(model, variants, np.asarray(columns)[owner]))
        scores = []
        place = 0
        for of, of_text in zip(shorter, pieces, strict=True):
            whole, cut = odds[place], odds[place + 1 : place + 1 + len(of)]
            scores.append(self._share(whole - cut, len(of_text)))
            place += len(of) + 1
        return scores

    def _starts(self, of_text: Sequence[Unit]) -> range:
        return range(max(len(of_text) - self.window + 1, min(len(of_text), 1)))

    def _share(self, falls: np.ndarray, length: int) -> np.ndarray:
        """The mean of the windows that each unit was in."""
        if self.window == 1 or not length:
            return falls
        window = min(self.window, length)
        sums, counts = np.zeros((2, length))
        for at, fall in enumerate(falls):
            sums[at : at + window] += fall
            counts[at : at + window] += 1
        return np.asarray(sums / counts)


def probabilities(model: TextClassifier, texts: Sequence[str], columns: np.ndarray) -> np.ndarray:
    """The probability of one label of each text, float64 [texts]; memory is bounded."""
    found = [np.empty(0)]
    for start in range(0, len(texts), _AT_ONCE):
        some = texts[start : start + _AT_ONCE]
        given = model.predict_proba(some)
        found.append(given[np.arange(len(some)), columns[start : start + _AT_ONCE]])
    return np.concatenate(found).astype(np.float64)


def log_odds(probability: np.ndarray) -> np.ndarray:
    """ln(p / (1 − p)), finite."""
    bounded = probability.clip(_LEAST, 1 - _LEAST)
    return np.asarray(np.log(bounded) - np.log1p(-bounded))

"""What happens to a prediction without the units that a method names, and with these alone.

Comprehensiveness: by how much the label's probability falls when the highest units are deleted;
large where they were needed. Sufficiency: by how much it falls when nothing else is left; small
where they were enough. Both for several shares of the units that the model reads (DeYoung et al.
2020, "ERASER", 1911.03429), at least one each. Deleting makes texts that no one would write, so
compare methods with each other and with a random order, not with 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from emrobust.explain.explainer import Explanation, beginning
from emrobust.explain.occlusion import probabilities
from emrobust.explain.units import without
from emrobust.models.estimator import TextClassifier

THRESHOLDS = (0.01, 0.05, 0.10, 0.20, 0.50)


class Faithfulness(NamedTuple):
    """Falls of the probability, float64 [texts, thresholds] each."""

    comprehensiveness: np.ndarray
    sufficiency: np.ndarray


def judge(
    model: TextClassifier,
    texts: Sequence[str],
    columns: Sequence[int],
    explanations: Mapping[str, Sequence[Explanation]],
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[str, Faithfulness]:
    """Measure several methods on the same texts and labels.

    Args:
        model: a fitted model.
        texts: as they were written.
        columns: the label of each text.
        explanations: method → explanation of each text.
        thresholds: shares of the units, above 0 to 1.
    """
    labels = np.asarray(columns)
    seen = [beginning(model, text) for text in texts]
    whole = probabilities(model, seen, labels)
    found = {}
    for name, of_method in explanations.items():
        cut: list[str] = []
        for text, explanation in zip(seen, of_method, strict=True):
            cut += _deletions(text, explanation, thresholds)
        given = probabilities(model, cut, np.repeat(labels, 2 * len(thresholds)))
        falls = whole[:, None, None] - given.reshape(len(texts), len(thresholds), 2)
        found[name] = Faithfulness(falls[:, :, 0], falls[:, :, 1])
    return found


def _deletions(text: str, explanation: Explanation, thresholds: Sequence[float]) -> list[str]:
    """For each threshold the text without its highest units, and with these alone."""
    units = explanation.units
    ranked = [units[k] for k in explanation.ranked() if units[k].start < len(text)]
    texts = []
    for share in thresholds:
        top = max(1, math.ceil(share * len(ranked)))
        texts += [without(text, ranked[:top]), without(text, ranked[top:])]
    return texts

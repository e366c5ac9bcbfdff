"""Scores, their intervals, and the difference of two runs."""

from emrobust.evaluate.comparison import Comparison, Difference, compare
from emrobust.evaluate.evaluation import (
    ConfusedPair,
    Evaluation,
    LabelScore,
    evaluate,
    measure,
)
from emrobust.evaluate.predictions import Predictions, gather

__all__ = [
    "Comparison",
    "ConfusedPair",
    "Difference",
    "Evaluation",
    "LabelScore",
    "Predictions",
    "compare",
    "evaluate",
    "gather",
    "measure",
]

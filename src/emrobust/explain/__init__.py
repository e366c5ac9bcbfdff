"""Which words of a text a prediction rests on, and how far to believe those who say so.

units        the characters or words that are scored, as ranges of the original text
explainer    what every method is; one method a file
faithfulness what happens to the prediction without the words that a method names
evidence     what typically speaks for a label in the training notes
neighbours   the training notes nearest to one
"""

from emrobust.explain.explainer import Explainer, Explanation, available, explain, make
from emrobust.explain.faithfulness import THRESHOLDS, Faithfulness, judge
from emrobust.explain.units import Level, Unit, split, without

__all__ = [
    "THRESHOLDS",
    "Explainer",
    "Explanation",
    "Faithfulness",
    "Level",
    "Unit",
    "available",
    "explain",
    "judge",
    "make",
    "split",
    "without",
]

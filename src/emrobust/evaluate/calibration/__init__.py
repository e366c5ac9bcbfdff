"""Calibration: probabilities that mean what they say, and what can be promised with them.

calibrator → temperature | vector | isotonic | none (registered, one a file)
choice     → which of them is the best on validation records; saved with the run
conformal  → sets of labels that hold the true ones as often as was asked for
abstention → what is left to the doctor, and how right the rest is
"""

from emrobust.evaluate.calibration.abstention import Cut, RiskCoverage, choose_cut, risk_coverage
from emrobust.evaluate.calibration.calibrator import Calibrator, restore
from emrobust.evaluate.calibration.choice import Choice, choose
from emrobust.evaluate.calibration.conformal import Guarantee, SetSizes, control, measure_sets

__all__ = [
    "Calibrator",
    "Choice",
    "Cut",
    "Guarantee",
    "RiskCoverage",
    "SetSizes",
    "choose",
    "choose_cut",
    "control",
    "measure_sets",
    "restore",
    "risk_coverage",
]

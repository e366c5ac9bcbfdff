"""Made-up texts on which int8 must agree with fp32 before anybody relies on it.

int8 arithmetic differs between processors (without VNNI it may saturate), and so it is looked at on
the machine that will answer.
"""

from __future__ import annotations

import json
from importlib import resources

# Of int8 against fp32: the largest difference of any probability, and the mean of them all.
INT8_LARGEST, INT8_MEAN = 0.15, 0.01


def texts() -> list[str]:
    """Notes of the synthetic clinic and made-up English ones, then an empty and a long one.

    The clinic's were drawn once (seed 20269999, block 0), so that they are the same for ever.
    """
    file = resources.files(__package__).joinpath("probe.json")
    notes: list[str] = json.loads(file.read_text(encoding="utf-8"))
    return [*notes, "", "".join(notes)]

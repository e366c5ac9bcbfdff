"""The synthetic clinic: a made-up hospital whose best possible classifier is known.

    tables → model → visits → notes → chart → database
                  ↘ ceiling (the exact posterior of the labels)

`generate` writes a hospital; `ceiling` scores its visits as well as can be done.
"""

from emrobust.clinic.ceiling import ceiling
from emrobust.clinic.database import PROJECT, generate, is_made
from emrobust.clinic.style import Rates

__all__ = ["PROJECT", "Rates", "ceiling", "generate", "is_made"]

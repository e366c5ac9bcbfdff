"""The synthetic clinic: a made-up hospital whose best possible classifier is known.

    tables → model → visits → notes → chart → database
                  ↘ ceiling (the exact posterior of the labels)

`generate` writes a hospital; `ceiling` scores its visits as well as can be done.
"""

from emrobust.clinic.ceiling import ceiling
from emrobust.clinic.database import generate
from emrobust.clinic.style import Rates

__all__ = ["Rates", "ceiling", "generate"]

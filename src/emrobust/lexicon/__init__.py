"""Terms of Chinese outpatient notes in formal, colloquial and abbreviated words.

    tables/*.csv → table (rows, validated) → lexicon (matching, swaps)
    tables/measures.csv → measures (体温38.5℃ ↔ T 38.5)

The lowest room beside the single files: normalisation, perturbation and guards all read it.
"""

from emrobust.lexicon.lexicon import Lexicon, Match, load
from emrobust.lexicon.measures import Measures, Number, Reading, find_numbers, load_measures
from emrobust.lexicon.table import REGISTERS, TYPES, Entry, Register, Use, held_out

__all__ = [
    "REGISTERS",
    "TYPES",
    "Entry",
    "Lexicon",
    "Match",
    "Measures",
    "Number",
    "Reading",
    "Register",
    "Use",
    "find_numbers",
    "held_out",
    "load",
    "load_measures",
]

"""Test suites: the same test records under noise, cut, padded, or from elsewhere.

    write   → suites on disk, made once from a test table, so that every model sees the same texts
    measure → the score on a suite beside the score on the same records as they were written
    shift   → records from a site, a year or a department that training did not see

A suite is a records file (`emrobust.records`) with the numbers, patients and labels of test
records and other texts. Those of the kinds *noise* and *length* lie in ``FOLDER/written/``, which
`write` makes. The place of an **attack**'s texts is ``FOLDER/attack/NAME.parquet``, FOLDER being
``suites`` in the prepared folder: whatever records file lies there is measured as the suite
``attack-NAME``. The room `emrobust.attack` writes such files; this room only reads them.
"""

from emrobust.evaluate.suites.measure import (
    LabelDrop,
    SuiteScore,
    align,
    compare,
    draw,
    measure_file,
)
from emrobust.evaluate.suites.shift import Seen, measure_shift, seen_of
from emrobust.evaluate.suites.write import ATTACK, WRITTEN, Settings, Suite, edit, find, write

__all__ = [
    "ATTACK",
    "WRITTEN",
    "LabelDrop",
    "Seen",
    "Settings",
    "Suite",
    "SuiteScore",
    "align",
    "compare",
    "draw",
    "edit",
    "find",
    "measure_file",
    "measure_shift",
    "seen_of",
    "write",
]

"""Finds direct identifiers in clinical notes, Chinese first, and takes them out.

    tables/*.csv, *.toml → detectors (one kind a file) → detect → spans → operators → gate
                                                                             ↘ audit, risk

Spans are offsets into the original text; overlaps are resolved by the rules of `spans`. `stage`
treats a records table, `Deidentifier` any stream of records.
"""

from emrobust.deid.stage import FACTS, Deidentifier, Wishes, notes_of, stage

__all__ = ["FACTS", "Deidentifier", "Wishes", "notes_of", "stage"]

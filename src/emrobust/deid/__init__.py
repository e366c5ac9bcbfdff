"""Finds direct identifiers in clinical notes, Chinese first, and takes them out.

    tables/*.csv, *.toml → detectors (one kind a file) → detect → spans → operators

Spans are offsets into the original text; overlaps are resolved by the rules of `spans`.
"""

"""The review sheet: originals with highlights, to be corrected in a browser without a network.

The page holds originals, so its file is its owner's alone; its policy lets nothing out, and what
it exports holds places only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emrobust import runs
from emrobust.placeholders import PLACEHOLDERS
from emrobust.report import shell
from emrobust.report.deid_page import Names


def write_sheet(path: Path, sheet: Mapping[str, Any], name: str = "", language: str = "zh") -> None:
    """Write a sheet of `emrobust.deid.review.sheet`, readable by its owner only.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    runs.write_text(path, render_sheet(sheet, name, language), private=True)


def render_sheet(sheet: Mapping[str, Any], name: str = "", language: str = "zh") -> str:
    """The sheet's HTML."""
    names = Names(language)
    w = names.words
    kinds = {kind: names.kind(kind) for kind in PLACEHOLDERS}
    return shell.fill(
        "review.html.j2",
        ["review.css"],
        "review.js",
        w=w,
        title=w("review_title"),
        name=name,
        kinds=list(kinds.items()),
        kinds_json=shell.data_of(kinds),
        sheet_json=shell.data_of(sheet),
    )

"""The review sheet: originals with highlights, to be corrected in a browser without a network.

The page holds originals, so its file is its owner's alone; its policy lets nothing out, and what
it exports holds places only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from emrobust import runs
from emrobust.placeholders import PLACEHOLDERS
from emrobust.report.deid_page import Names, environment
from emrobust.report.page import content_hash, read_template


def write_sheet(path: Path, sheet: Mapping[str, Any], name: str = "", language: str = "zh") -> None:
    """Write a sheet of `emrobust.deid.review.sheet`, readable by its owner only.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    with runs.atomic_file(path) as partial:
        partial.touch(mode=0o600)
        partial.chmod(0o600)
        partial.write_text(render_sheet(sheet, name, language), encoding="utf-8")


def render_sheet(sheet: Mapping[str, Any], name: str = "", language: str = "zh") -> str:
    """The sheet's HTML."""
    names = Names(language)
    w = names.words
    style = read_template("style.css") + read_template("review.css")
    script = read_template("review.js")
    kinds = {kind: names.kind(kind) for kind in PLACEHOLDERS}
    template = environment().from_string(read_template("review.html.j2"))
    return template.render(
        w=w,
        title=w("review_title"),
        name=name,
        style=Markup(style),  # noqa: S704 (our own file)
        script=Markup(script),  # noqa: S704 (our own file)
        style_hash=content_hash(style),
        script_hash=content_hash(script),
        kinds=list(kinds.items()),
        kinds_json=data_of(kinds),
        sheet_json=data_of(sheet),
    )


def data_of(value: Any) -> Markup:
    """JSON that cannot end the element that it stands in."""
    text = json.dumps(value, ensure_ascii=False)
    escaped = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(escaped)  # noqa: S704 (no character of markup is left)

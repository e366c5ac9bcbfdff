"""The sheet of records whose labels may be wrong, to be corrected in a browser without a network.

The page holds the texts of records, so its file is its owner's alone; what it exports are record
numbers and labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from markupsafe import Markup

from emrobust import runs
from emrobust.quality.review import Entry
from emrobust.report.deid_page import environment
from emrobust.report.page import content_hash, read_template
from emrobust.report.review_page import data_of
from emrobust.report.words import Words

STRINGS = "quality_strings.toml"
_CONFLICTS = 50


def write_private(path: Path, content: str) -> None:
    """Write a file with texts of records, readable by its owner only.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    with runs.atomic_file(path) as partial:
        partial.touch(mode=0o600)
        partial.chmod(0o600)
        partial.write_bytes(content.encode())


def render(
    facts: Mapping[str, Any], entries: Sequence[Entry], names: Sequence[str], language: str = "zh"
) -> str:
    """The sheet's HTML.

    Args:
        facts: the content of ``quality.json``.
        entries: the records to review.
        names: the label set.
        language: of the page; class names stay as they are.
    """
    w = Words(language, STRINGS)
    style = "".join(map(read_template, ("style.css", "review.css", "quality.css")))
    script = read_template("quality.js")
    support = facts["support"]
    return environment().from_string(read_template("quality.html.j2")).render(
        w=w,
        style=Markup(style),  # noqa: S704 (our own file)
        script=Markup(script),  # noqa: S704 (our own file)
        style_hash=content_hash(style),
        script_hash=content_hash(script),
        version=metadata.version("emrobust"),
        lines=_lines(facts, len(entries), w),
        groups=[
            (w(f"column_{name}"), [g for g in of if g["unsupported"]][:5])
            for name, of in (support["groups"] if support else {}).items()
            if any(g["unsupported"] for g in of)
        ],
        conflicts=facts["conflicts"][:_CONFLICTS],
        entries=entries,
        options=[list(dict.fromkeys((*e.labels, *dict(e.likely)))) for e in entries],
        chances=[dict(e.likely) for e in entries],
        names=names,
        facts=data_of({"data": facts["data"], "records": [e.record_id for e in entries]}),
    )  # fmt: skip


def _lines(facts: Mapping[str, Any], shown: int, w: Words) -> list[str]:
    support = facts["support"]
    lines = [
        w(
            "line_rows",
            rows=f"{facts['rows']:,}",
            confident=f"{facts['confident']:,}",
            shown=f"{shown:,}",
        ),
        w("line_conflicts", n=f"{facts['conflicting_texts']:,}"),
    ]
    if not support:
        return [*lines, w("line_no_support")]
    counts = {"asked": f"{support['asked']:,}", "n": f"{support['unsupported']:,}"}
    bounds = {"bound": f"{support['bound']:.2f}", "expected": f"{support['expected']:.0%}"}
    return [*lines, w("line_support", **counts, **bounds)]

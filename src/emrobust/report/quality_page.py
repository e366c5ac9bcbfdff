"""The sheet of records whose labels may be wrong, to be corrected in a browser without a network.

The page holds the texts of records, so its file is its owner's alone; what it exports are record
numbers and labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emrobust.quality.review import Entry
from emrobust.report import shell
from emrobust.report.words import Words

STRINGS = "quality_strings.toml"
_CONFLICTS = 50


def render(
    facts: Mapping[str, Any],
    entries: Sequence[Entry],
    names: Sequence[str],
    titles: Mapping[str, str],
    language: str = "zh",
) -> str:
    """The sheet's HTML.

    Args:
        facts: the content of ``quality.json``.
        entries: the records to review.
        names: the label set.
        titles: class → title in the page's language, shown beside its name.
        language: of the page; class names stay as they are.
    """
    w = Words(language, STRINGS)
    support = facts["support"]
    return shell.fill(
        "quality.html.j2",
        ["review.css", "quality.css"],
        "quality.js",
        w=w,
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
        titles=titles,
        facts=shell.data_of({"data": facts["data"], "records": [e.record_id for e in entries]}),
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

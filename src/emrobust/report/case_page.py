"""Errors case by case: the note with its highlights, what it lacks, and what is near.

The page holds the texts of records, so its file is its owner's alone and its policy lets nothing
out. Strength of a highlight is shown by colour and by a line, so that it survives a black and
white print and colour blindness.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emrobust import runs
from emrobust.evaluate.faithfulness import (
    ATTENTION,
    RANDOM,
    Estimate,
    FaithfulnessReport,
    Method,
)
from emrobust.explain.cases import Case
from emrobust.report import shell
from emrobust.report.words import Words

STRINGS = "explain_strings.toml"
_DEPTHS = 5
# Below this share of the strongest unit a unit is left plain.
_FAINT = 0.08


class About(NamedTuple):
    """What the page is about.

    Attributes:
        name: of the project.
        method: that is shown.
        level: of the units.
        language: of the page; class names stay as they are.
    """

    name: str
    method: str
    level: str
    language: str


class Piece(NamedTuple):
    """A stretch of the note, its style (``for-3``, ``against-1`` or none) and its score."""

    text: str
    style: str
    score: str


def write_cases(
    path: Path,
    cases: Sequence[Case],
    training: Sequence[str],
    about: About,
    faithfulness: FaithfulnessReport | None = None,
) -> None:
    """Write the page, readable by its owner only.

    Args:
        path: of the HTML file.
        cases: in their order.
        training: texts of the training rows, where the cases' neighbours are.
        about: what to call it.
        faithfulness: of all methods, if it was measured.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    runs.write_text(path, render(cases, training, about, faithfulness), private=True)


def render(
    cases: Sequence[Case],
    training: Sequence[str],
    about: About,
    faithfulness: FaithfulnessReport | None = None,
) -> str:
    """The page's HTML."""
    w = Words(about.language, STRINGS)
    return shell.fill(
        "cases.html.j2",
        ["cases.css"],
        "cases.js",
        w=w,
        about=about,
        title=f"{w('title')} {about.name}".strip(),
        method=w.known(f"method_{about.method}"),
        verdict=_verdict(faithfulness, w),
        methods=[_row(of, faithfulness.chosen, w) for of in faithfulness.methods]
        if faithfulness
        else [],
        cases=[_case(case, training, w) for case in cases],
        signed=any(bool((case.explanation.scores < 0).any()) for case in cases),
        looks=about.method.startswith(ATTENTION),
    )  # fmt: skip


def _verdict(of: FaithfulnessReport | None, w: Words) -> str:
    if of is None:
        return w("believe_unmeasured")
    shown = of.of(of.chosen)
    key = "believe_no"
    if shown.beats:
        key = "believe_yes" if ATTENTION in shown.gain else "believe_random"
    return w(
        key,
        n=f"{of.n:,}",
        patients=f"{of.patients:,}",
        method=w.known(f"method_{shown.name}"),
        value=f"{shown.comprehensiveness.value:.3f}",
        interval=_range(shown.comprehensiveness),
        confidence=f"{of.confidence:.0%}",
    )


def _row(of: Method, chosen: str, w: Words) -> dict[str, Any]:
    def gain(name: str) -> str:
        return _estimate(of.gain[name], sign=True) if name in of.gain else "–"

    return {
        "name": w.known(f"method_{of.name}"),
        "shown": of.name == chosen,
        "comprehensiveness": _estimate(of.comprehensiveness),
        "sufficiency": _estimate(of.sufficiency),
        "over_random": gain(RANDOM),
        "over_attention": gain(ATTENTION),
    }


def _estimate(of: Estimate, *, sign: bool = False) -> str:
    value = f"{of.value:+.3f}" if sign else f"{of.value:.3f}"
    return f"{value} ({_range(of)})"


def _range(of: Estimate) -> str:
    return f"{of.low:.3f}–{of.high:.3f}" if of.low >= 0 else f"{of.low:.3f} … {of.high:.3f}"


def _case(case: Case, training: Sequence[str], w: Words) -> dict[str, Any]:
    return {
        "record_id": case.record_id,
        "kind": case.kind,
        "label": case.label,
        "probability": _percent(case.probability),
        "threshold": None if case.threshold is None else _percent(case.threshold),
        "true": case.true,
        "predicted": [(name, _percent(p)) for name, p in case.predicted.items()],
        "pieces": pieces(case),
        "missing": [
            {
                "term": of.finding.term,
                "share": f"{of.finding.share:.0%}",
                "ratio": f"{of.finding.ratio:.1f}",
                "state": w(f"state_{of.finding.state}"),
                "before": _percent(case.probability),
                "after": _percent(of.probability),
            }
            for of in case.missing
        ],
        "neighbours": [
            {
                "record_id": of.record_id,
                "similarity": f"{of.similarity:.2f}",
                "labels": of.labels,
                "same": case.label in of.labels,
                "text": training[of.row],
            }
            for of in case.neighbours
        ],
    }


def _percent(probability: float) -> str:
    return f"{probability:.1%}" if probability < 0.995 else f"{probability:.2%}"


def pieces(case: Case) -> list[Piece]:
    """The note cut where the style changes; joined the pieces are the note."""
    scores = case.explanation.scores
    most = float(np.abs(scores).max(initial=0.0)) or 1.0
    found = []
    place = 0
    for (start, end), score in zip(case.explanation.units, scores, strict=True):
        style = _style(float(score) / most)
        if not style:
            continue
        if start > place:
            found.append(Piece(case.text[place:start], "", ""))
        found.append(Piece(case.text[start:end], style, f"{score:+.3f}"))
        place = end
    if place < len(case.text):
        found.append(Piece(case.text[place:], "", ""))
    return found


def _style(share: float) -> str:
    if abs(share) < _FAINT:
        return ""
    depth = min(_DEPTHS, 1 + int(abs(share) * _DEPTHS))
    return f"{'for' if share > 0 else 'against'}-{depth}"

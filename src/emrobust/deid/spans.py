"""Spans of identifiers: offsets into the original text, overlaps resolved, edits from the end.

Rules for overlaps, in this order:

1. The longer span wins, then the higher score, then the kind that comes first in
   `emrobust.placeholders.PLACEHOLDERS`, then the one that starts first.
2. A span inside a winner goes.
3. A span that reaches out of a winner keeps what sticks out, if that holds a letter or a digit:
   better two placeholders than half an identifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from emrobust.placeholders import PLACEHOLDERS

_PRIORITY = {kind: place for place, kind in enumerate(PLACEHOLDERS)}


class Span(NamedTuple):
    """An identifier in a text.

    Attributes:
        start: offset of its first character in the original text.
        end: offset behind its last.
        kind: a key of `emrobust.placeholders.PLACEHOLDERS`.
        score: how sure the detector is, 0–1; 1 is a valid checksum or a known value.
        detector: the detector's name in the registry.
        evidence: the rule, table or context in words; never the text itself.
    """

    start: int
    end: int
    kind: str
    score: float
    detector: str
    evidence: str


def resolve(spans: Iterable[Span], text: str | None = None) -> list[Span]:
    """Spans that don't overlap, in order, by the rules above.

    Args:
        spans: of one text, in any order; empty ones are dropped.
        text: where given, a rest without a letter or digit is dropped.
    """
    kept: list[Span] = []
    for cluster in _clusters(sorted(span for span in set(spans) if span.start < span.end)):
        if len(cluster) == 1:
            kept += cluster
            continue
        winners: list[Span] = []
        for span in sorted(cluster, key=_rank):
            winners.extend(_rests(span, winners, text))
        kept.extend(sorted(winners))
    return kept


def apply(text: str, replacements: Iterable[tuple[Span, str]]) -> str:
    """The text with each span replaced by its word, edited from the end.

    Raises:
        ValueError: two spans overlap or one lies outside of the text.
    """
    after = len(text)
    parts: list[str] = []
    for span, word in sorted(replacements, reverse=True):
        if not 0 <= span.start <= span.end <= after:
            raise ValueError(f"the span {span.start}–{span.end} overlaps another or the text's end")
        parts += [text[span.end : after], word]
        after = span.start
    parts.append(text[:after])
    return "".join(reversed(parts))


def _clusters(ordered: list[Span]) -> Iterator[list[Span]]:
    """Runs of spans that overlap, so that a long text costs no more than its parts."""
    cluster: list[Span] = []
    end = 0
    for span in ordered:
        if cluster and span.start >= end:
            yield cluster
            cluster = []
        cluster.append(span)
        end = max(end, span.end) if len(cluster) > 1 else span.end
    if cluster:
        yield cluster


def _rank(span: Span) -> tuple[int, float, int, int]:
    priority = _PRIORITY.get(span.kind, len(_PRIORITY))
    return span.start - span.end, -span.score, priority, span.start


def _rests(span: Span, kept: list[Span], text: str | None) -> list[Span]:
    """What of a span no kept span covers."""
    rests, start = [], span.start
    for other in sorted(kept):
        if other.end <= start or other.start >= span.end:
            continue
        rests.append((start, other.start))
        start = max(start, other.end)
    rests.append((start, span.end))
    whole = len(rests) == 1
    return [
        span._replace(start=a, end=b)
        for a, b in rests
        if a < b and (whole or text is None or any(map(str.isalnum, text[a:b])))
    ]

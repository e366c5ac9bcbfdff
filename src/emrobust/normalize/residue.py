"""Template residue: empty brackets, blanks ____, 请填写, the same phrase twice.

What goes from between two words or numbers leaves a space, so that 3____5 is not 35. Brackets and
blanks stay in a text with ticked boxes (√ ☑), where an empty box is an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from operator import eq
from pathlib import Path
from typing import ClassVar

from emrobust.normalize.alignment import Edit
from emrobust.normalize.step import Step, rows
from emrobust.registry import register

FILE = "residue.csv"
_TICKED = re.compile(r"[√✓✔☑■]|\[[xXvV]\]|\([vV]\)")
_EMPTY = re.compile(
    r"\[[\s_]*\]|【[\s_]*】|\([\s_]*\)|（[\s_]*）|\{[\s_]*\}|「\s*」|“\s*”|《\s*》|__[\s_]*| [ \t]+"
)
_OPEN, _CLOSED = set("[【("), set("]】)")
_EDGE = frozenset(" \t\r\n，。；：、！？,;:!?")
_INSIDE = r"[^\s，。；,;]"
# One clause, then the same again once or more; a clause with digits is a measurement.
_AGAIN = re.compile(
    rf"(?<!{_INSIDE})([^\s，。；：、,;:\d()]{{2,12}})((?:[ ，；]{{1,2}}\1)+)(?!{_INSIDE})"
)
_MARKS = re.compile("[，；、。][，；、。]+")


@register("normalizer")
class Residue(Step):
    """What a template left behind, by patterns and by the phrases of a table."""

    order: ClassVar[int] = 85
    back_to: ClassVar[int | None] = 0
    languages: ClassVar[frozenset[str]] = frozenset({"zh", "en"})
    files: ClassVar[tuple[str, ...]] = (FILE,)

    def __init__(self, tables: Path | None = None) -> None:
        super().__init__(tables)
        phrases = sorted(
            (row["phrase"] for _, row in rows(self.table(FILE))), key=len, reverse=True
        )
        self._phrases = re.compile(f"(?:{'|'.join(map(re.escape, phrases)) or '(?!)'})[.…]*")

    def edits(self, text: str) -> list[Edit]:
        """See `Step.edits`."""
        found = [*self._template(text), *_repeats(text)]
        return _apart(found) if found else found

    def _template(self, text: str) -> Iterator[Edit]:
        for match in self._phrases.finditer(text):
            start, end = match.span()
            if text[start - 1 : start] in _OPEN and text[end : end + 1] in _CLOSED:
                yield _remove(text, start - 1, end + 1)
            elif _is_edge(text, start - 1) and _is_edge(text, end):
                yield _remove(text, start, end)
        matches = list(_EMPTY.finditer(text))
        if matches and not _TICKED.search(text):
            for match in matches:
                yield _remove(text, *match.span())
        for match in _MARKS.finditer(text):
            yield Edit(*match.span(), "。" if "。" in match[0] else match[0][0])


def _repeats(text: str) -> Iterator[Edit]:
    clauses = text.replace(" ", "，").replace("；", "，").split("，")
    # A look at neighbours costs a tenth of the pattern.
    if any(map(eq, filter(None, clauses), islice(filter(None, clauses), 1, None))):
        for match in _AGAIN.finditer(text):
            yield Edit(*match.span(2), "")


def _remove(text: str, start: int, end: int) -> Edit:
    apart = _is_edge(text, start - 1) or _is_edge(text, end)
    return Edit(start, end, "" if apart else " ")


def _is_edge(text: str, place: int) -> bool:
    return not 0 <= place < len(text) or text[place] in _EDGE


def _apart(found: list[Edit]) -> list[Edit]:
    """In order, without those that overlap an earlier one (the next pass sees them)."""
    kept: list[Edit] = []
    for edit in sorted(found):
        if not kept or edit.start >= kept[-1].end:
            kept.append(edit)
    return kept

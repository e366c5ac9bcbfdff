"""Section headings in one writing: 【体格检查】, PE: and 体检 become 查体.

A heading stands at the beginning or behind a space or mark, and has a colon, brackets, or (for
the plainest) a space or line break behind it. A heading said twice is said once. Of the content
nothing is touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from emrobust.errors import ConfigError
from emrobust.normalize.alignment import Edit
from emrobust.normalize.step import Step, alternatives, rows, words
from emrobust.registry import register

FILE = "sections.csv"
_OPEN = {"】": "【", "]": "[", "》": "《", ">": "<"}
_BEFORE = frozenset(' \t\r\n\u3000，。；：、,.;:!！?？)）】]》>"”')


class Section(NamedTuple):
    """A heading and what stands under it.

    Attributes:
        name: the heading's one writing.
        level: 1, or 2 for a part of the section before it.
        start: where the heading begins.
        content: where its content begins.
        end: where its content, with that of its parts, ends.
    """

    name: str
    level: int
    start: int
    content: int
    end: int


@register("normalizer")
class Sections(Step):
    """Headings by a table of their writings."""

    order: ClassVar[int] = 40
    files: ClassVar[tuple[str, ...]] = (FILE,)

    def __init__(self, tables: Path | None = None) -> None:
        super().__init__(tables)
        self._of: dict[str, tuple[str, int]] = {}
        bare: list[str] = []
        no_figure: list[str] = []
        for line, row in rows(self.table(FILE)):
            if row["level"] not in ("1", "2"):
                raise ConfigError(f"line {line} of {FILE}: `level` is neither 1 nor 2")
            for writing in {row["section"], *words(row["writings"])}:
                if writing in self._of:
                    raise ConfigError(
                        f"line {line} of {FILE}: the writing {writing!r} stands in two rows"
                    )
                self._of[writing] = row["section"], int(row["level"])
            bare += words(row["bare"])
            no_figure += words(row["no_figure"])
        self._bare, self._no_figure = frozenset(bare), frozenset(no_figure)
        self._heading = re.compile(
            rf"({alternatives(self._of)})"
            r"(?:[ \t]*([】\]》>])[ \t]*[:：]?[ \t]*|[ \t]*[:：][ \t]*|([ \t\n]+)(?=[^\s:：]))"
        )

    def edits(self, text: str) -> list[Edit]:
        """See `Step.edits`."""
        found: list[Edit] = []
        last = -1
        for name, _, start, end in self._headings(text):
            if start == last and found and found[-1].text == name + "：":
                found[-1] = Edit(found[-1].start, end, name + "：")
            else:
                found.append(Edit(start, end, name + "："))
            last = end
        return [edit for edit in found if text[edit.start : edit.end] != edit.text]

    def find(self, text: str) -> list[Section]:
        """The sections of a text, in order; text before the first heading is in none."""
        headings = list(self._headings(text))
        sections = []
        for place, (name, level, start, content) in enumerate(headings):
            following = (other for other in headings[place + 1 :] if other[1] <= level)
            end = next((other[2] for other in following), len(text))
            sections.append(Section(name, level, start, content, end))
        return sections

    def _headings(self, text: str) -> Iterator[tuple[str, int, int, int]]:
        """Name, level, start and end (with brackets, colon and spaces) of each heading."""
        for match in self._heading.finditer(text):
            writing, close, gap = match.groups()
            if gap and writing not in self._bare:
                continue
            start, end = match.span()
            if close:
                if not start or text[start - 1] != _OPEN[close]:
                    continue
                start -= 1
            if start and text[start - 1] not in _BEFORE and close != "】":
                continue
            # PH: 7.35 is no past history.
            if writing in self._no_figure and text[end : end + 1].isdigit():
                continue
            yield *self._of[writing], start, end

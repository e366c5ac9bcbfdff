"""Full-width letters, digits and signs become ASCII, and ,;:?! in Chinese text full-width.

Brackets become ASCII, the full stop and the list comma stay Chinese, invisible characters go.
A colon between digits is ASCII, and so is the comma of thousands.
"""

from __future__ import annotations

import re
import unicodedata
from typing import ClassVar

from emrobust.normalize.alignment import Edit
from emrobust.normalize.step import HAN, Step
from emrobust.registry import register

# Of the full-width forms all but ，：；？！, which belong to a Chinese sentence; spaces; signs that
# pack a unit into one character.
_CLASS = (
    "＂-＋－-９＜-＞＠-～\u00a0\u2002-\u200a\u202f\u3000\u200b-\u200d\u2060\ufeff\u00ad"
    "µ㎍㎎㎏㎜㎝㎞㎖㎕㏄﹙﹚﹢﹣﹪"
)
# `re` skips ahead to a leading class, but not to a repeated one.
_WIDE = re.compile(f"[{_CLASS}][{_CLASS}]*")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_MARKS = re.compile(
    r"[,;:?!.：](?:(?<=[,;?!]) ?|(?<=:)(?!/) ?"
    rf"|(?<=[{HAN}]\.)(?<![一二三四五六七八九十]\.)(?=\s|$|[{HAN}])|(?<=\d：)(?=\d))"
)
# 8:30, 1:160 and 1,000 are figures.
_FIGURE = re.compile(r"\d(?::\d|,\d{3}(?!\d))")
_HAN = re.compile(f"[{HAN}]")
_CHINESE = str.maketrans(",;:?!.：", "，；：？！。:", " ")


@register("normalizer")
class Width(Step):
    """One width a character."""

    order: ClassVar[int] = 10
    languages: ClassVar[frozenset[str]] = frozenset({"zh", "en"})

    def edits(self, text: str) -> list[Edit]:
        """See `Step.edits`."""
        if text.isascii():
            return []
        found = [
            Edit(
                match.start(),
                match.end(),
                unicodedata.normalize("NFKC", match[0]).translate(_INVISIBLE),
            )
            for match in _WIDE.finditer(text)
        ]
        marks = _marks(text) if _HAN.search(text) else []
        return sorted(found + marks) if found and marks else found or marks


def _marks(text: str) -> list[Edit]:
    return [
        Edit(match.start(), match.end(), match[0].translate(_CHINESE))
        for match in _MARKS.finditer(text)
        if match[0][0] not in ",:"
        or not match.start()
        or not _FIGURE.match(text, match.start() - 1)
    ]

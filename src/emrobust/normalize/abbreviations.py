"""Abbreviations written out where their neighbours say which is meant: BS is 肠鸣音 or 血糖.

Each row of ``abbreviations.csv`` is one meaning. A meaning gains by a word directly before or
after the abbreviation, and by words within twelve characters; a word of ``refuse`` there rules it
out. The best one is written only if it is alone at the top; a meaning marked ``alone`` needs no
word. What stays ambiguous stays as it is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, NamedTuple

from emrobust.errors import ConfigError
from emrobust.normalize.alignment import Edit
from emrobust.normalize.step import HAN, Step, alternatives, rows, words
from emrobust.registry import register

FILE = "abbreviations.csv"
_NEAR = 12
_BESIDE_SCORE = 2
_TOKEN = re.compile(
    r"[A-Za-zαβγ](?<![A-Za-z0-9αβγ].)[A-Za-z0-9]*(?:[-./][A-Za-z0-9]+)*%?[↑↓]*", re.DOTALL
)
_PART = re.compile("[^/]+")
_HAN = re.compile(f"[{HAN}]")
_ENGLISH = re.compile("[a-z]{2} [a-z]{2}")


class _Sense(NamedTuple):
    expansion: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    near: re.Pattern[str] | None
    refuse: re.Pattern[str] | None
    alone: bool


@register("normalizer")
class Abbreviations(Step):
    """Abbreviations by a table of their meanings and the words around them."""

    order: ClassVar[int] = 70
    back_to: ClassVar[int | None] = 60
    files: ClassVar[tuple[str, ...]] = (FILE,)

    def __init__(self, tables: Path | None = None) -> None:
        super().__init__(tables)
        self._senses: dict[str, list[_Sense]] = {}
        for line, row in rows(self.table(FILE)):
            self._senses.setdefault(row["abbreviation"], []).append(_read(line, row))
        # Two letters mean too much in small ones; longer abbreviations are typed in any case.
        self._any_case = {key.upper(): of for key, of in self._senses.items() if len(key) > 2}

    def edits(self, text: str) -> list[Edit]:
        """See `Step.edits`."""
        if _ENGLISH.search(text) and not _HAN.search(text):
            return []
        found: list[Edit] = []
        for match in _TOKEN.finditer(text):
            token, (start, end) = match[0], match.span()
            senses = self._meanings(token)
            if senses is None and token[-1] in "↑↓":
                token = token.rstrip("↑↓")
                end = start + len(token)
                senses = self._meanings(token)
            if senses is not None:
                found += _choose(senses, text, start, end)
            elif "/" in token:
                for part in _PART.finditer(text, start, end):
                    found += _choose(self._meanings(part[0]) or [], text, *part.span())
        return found

    def _meanings(self, token: str) -> list[_Sense] | None:
        known = self._senses.get(token)
        if known is None and len(token) > 2:
            known = self._any_case.get(token.upper())
        return known


def _choose(senses: list[_Sense], text: str, start: int, end: int) -> list[Edit]:
    """The edit to the one best meaning, if there is one."""
    if len(senses) == 1 and senses[0].alone and senses[0].refuse is None:
        best = senses[0]
    else:
        scored = sorted(
            ((_score(sense, text, start, end), place) for place, sense in enumerate(senses)),
            reverse=True,
        )
        if not scored or scored[0][0] < 0 or (len(scored) > 1 and scored[0][0] == scored[1][0]):
            return []
        best = senses[scored[0][1]]
    # 血压(BP) explains itself.
    name = best.expansion
    if text.endswith((name, f"{name}(", f"{name}（"), 0, start) or text.startswith(
        (name, f"({name}", f"（{name}"), end
    ):
        return []
    return [Edit(start, end, name[_overlap(text, start, name) :])]


def _overlap(text: str, start: int, name: str) -> int:
    """How much of the expansion stands before the abbreviation already: 颈动脉AS, 胸部CXR."""
    longest = min(len(name) - 1, 4)
    return next((size for size in range(longest, 1, -1) if text.endswith(name[:size], 0, start)), 0)


def _score(sense: _Sense, text: str, start: int, end: int) -> float:
    """Below 0: not this one."""
    first, last = max(0, start - _NEAR), end + _NEAR
    if sense.refuse and sense.refuse.search(text, first, last):
        return -1.0
    beside = (sense.before and text.endswith(sense.before, 0, start)) or (
        sense.after and text.startswith(sense.after, end)
    )
    near = sense.near and (
        sense.near.search(text, first, start) or sense.near.search(text, end, last)
    )
    if not beside and not near:
        return 0.0 if sense.alone else -1.0
    return _BESIDE_SCORE * bool(beside) + bool(near)


def _read(line: int, row: dict[str, str]) -> _Sense:
    if not row["abbreviation"] or not row["expansion"] or row["alone"] not in ("", "1"):
        raise ConfigError(
            f"line {line} of {FILE} lacks an abbreviation or an expansion, or has something "
            "other than 1 in `alone`"
        )

    def pattern(cell: str) -> re.Pattern[str] | None:
        return re.compile(alternatives(words(cell))) if cell else None

    return _Sense(
        row["expansion"],
        tuple(words(row["before"])),
        tuple(words(row["after"])),
        pattern(row["near"]),
        pattern(row["refuse"]),
        row["alone"] == "1",
    )

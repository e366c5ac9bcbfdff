"""What every detector is: a text in, spans of a few kinds out."""

from __future__ import annotations

import functools
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from emrobust.deid.spans import Span

Row = Mapping[str, Sequence[str]]
"""Values of other columns of the same row by kind, as they stand there: the patient's name
(``patient_name``), numbers (``id_card``, ``phone``, ``visit_no`` …), the doctor's name
(``doctor_name``). What of them occurs in the text is an identifier."""

HAN = "\u3400-\u4dbf\u4e00-\u9fff"

_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SIGNS = dict.fromkeys(map(ord, "‐‑‒–—―−﹣"), "-") | {
    ord(wide): " " for wide in "\u3000\xa0\u2002\u2003\u2009\u200b\u200c\u200d\u2060\ufeff\xad"
}
_DOTS = dict.fromkeys(map(ord, "•‧∙・･"), "·")
_FOLD: dict[int, int | str] = {**_WIDE, **_SIGNS, **_DOTS}
_FOLDED = re.compile("[！-～‐-―−﹣\u3000\xa0\u2002\u2003\u2009\u200b-\u200d\u2060\ufeff\xad•‧∙・･]")


# A number written in Chinese numerals; the classifiers 十 and 百 are not in it.
_NUMERALS = "〇零○一二三四五六七八九幺两壹贰叁肆伍陆柒捌玖"
_DIGITS = str.maketrans(_NUMERALS, "00012345678912123456789")
SPELLED = re.compile(f"[{_NUMERALS}](?:[ -]?[{_NUMERALS}Xx\\d]){{6,}}")


def fold(text: str) -> str:
    """The text with full-width letters, digits and signs as ASCII, one character for one.

    Runs of seven or more Chinese numerals become digits (身份证一一零一零五…).

    Dashes become ``-``, spaces of every width (and invisible characters) a space, dots in names
    ``·``; ``，`` becomes ``,``, while ``、`` and ``。`` stay. Offsets stay those of the original.
    """
    folded = text.translate(_FOLD) if _FOLDED.search(text) else text
    if SPELLED.search(folded):
        return SPELLED.sub(lambda match: match[0].translate(_DIGITS), folded)
    return folded


@functools.cache
def fold_table() -> npt.NDArray[np.uint32]:
    """What every code point becomes by the first step of `fold`, one character for one."""
    table = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    for code, to in _FOLD.items():
        table[code] = to if isinstance(to, int) else ord(to)
    return table


_ENGLISH = re.compile(r"[A-Z](?:[a-z]{2}|[rs]\b|[A-Z] [A-Z]{2})")


def has_english(text: str) -> bool:
    """Whether there may be English words: a cheap test before dear patterns."""
    return _ENGLISH.search(text) is not None


_HAN = re.compile(f"[{HAN}]")
_LATIN = re.compile("[A-Za-z]")
_WORD = re.compile("[a-z]{3}")
_FEW = 10  # Latin letters a Chinese character outweighs: a character is half a word


def language_of(text: str, otherwise: str) -> str:
    """Whether a note is Chinese (``zh``) or English (``en``).

    Args:
        text: with abbreviations and names of the other language.
        otherwise: where no word tells.
    """
    if han := len(_HAN.findall(text)):
        return "zh" if _FEW * han >= len(_LATIN.findall(text)) else "en"
    return "en" if _WORD.search(text) else otherwise


class Detector(ABC):
    """Finds identifiers of some kinds. It keeps no state, so one instance serves all texts.

    Attributes:
        kinds: what it may find, keys of `emrobust.placeholders.PLACEHOLDERS`.
        source: where its knowledge comes from.
        default: whether it runs when no detectors are named; engines that need a model don't.
        triggers: patterns of which at least one matches in every folded text in which `find`
            finds something that the row doesn't tell; None where nobody knows. `prefilter` shows
            a detector only the texts that its triggers may match.
    """

    kinds: ClassVar[tuple[str, ...]]
    source: ClassVar[str]
    default: ClassVar[bool] = True
    triggers: tuple[re.Pattern[str], ...] | None = None

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return type(self).__module__.rpartition(".")[2]

    @abstractmethod
    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """Spans in any order; they may overlap.

        Args:
            text: a note, already through `fold`, so that offsets are those of the original.
            row: values of other columns of the same row, by kind.
        """

    def span(self, start: int, end: int, score: float, evidence: str, kind: str = "") -> Span:
        """A span of this detector; of its first kind unless told."""
        return Span(start, end, kind or self.kinds[0], score, self.name, evidence)

    def spans(
        self, pattern: re.Pattern[str], text: str, score: float, evidence: str, group: int = 0
    ) -> Iterator[Span]:
        """A span of the first kind for each match of a pattern."""
        for match in pattern.finditer(text):
            yield self.span(*match.span(group), score, evidence)

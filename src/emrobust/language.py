"""Whether a text is in the language of its project: Chinese or not, by its letters."""

from __future__ import annotations

import re
from collections.abc import Iterable

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# Chinese notes hold Latin abbreviations; English ones hold hardly an ideograph.
_SHARE = 0.2
# Fewer letters, such as BP or CT, are of no language.
FEWEST_LETTERS = 4
# A note of another language comes now and then; a wrong setting or column shows in many.
_MANY = 0.05


def is_foreign(text: str, language: str) -> bool:
    """Whether a text with some letters is in another language than ``zh`` or ``en``."""
    letters = sum(map(str.isalpha, text))
    if letters < FEWEST_LETTERS:
        return False
    chinese = len(_HAN.findall(text)) >= _SHARE * letters
    return chinese != (language == "zh")


def count_foreign(texts: Iterable[str], language: str) -> int:
    """How many of the texts are in another language."""
    return sum(is_foreign(text, language) for text in texts)


def describe_foreign(foreign: int, texts: int, language: str) -> str | None:
    """A warning where so many are that the project's language or its columns must be wrong."""
    if foreign <= _MANY * texts:
        return None
    return (
        f"{foreign:,} of {texts:,} texts are in another language than the project's, `{language}`"
    )

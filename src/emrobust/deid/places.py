"""Where the name of a place begins in running text."""

from __future__ import annotations

import functools
import re

import rjieba

# Words that a name may begin with, where nothing of the clause stands before them.
_NAMES_BEGIN = frozenset("和与及向回自从后年月日入经")


def begin_behind(
    text: str, start: int, end: int, strong: re.Pattern[str], weak: re.Pattern[str]
) -> int:
    """Behind the last preposition; where there is none, behind the last weaker word.

    A weaker word may be part of a name (和集市), so it counts only inside of a clause.
    """
    places = [match.end() for match in strong.finditer(text, start, end) if match.end() < end]
    if places:
        return places[-1]
    places = [
        match.end()
        for match in weak.finditer(text, start, end)
        if match.end() < end and (start < match.start() or match[0] not in _NAMES_BEGIN)
    ]
    return places[-1] if places else start


# Adverbs, prepositions, conjunctions, particles, pronouns, times; verbs of two characters.
_NO_NAME = frozenset("dpcuryt")


@functools.lru_cache(maxsize=16_384)
def is_name_like(text: str) -> bool:
    """Whether the dictionary sees no clause in these characters: no pronoun, adverb or verb."""
    return not any(
        tag[0] in _NO_NAME or (tag[0] == "v" and tag != "vn" and len(word) > 1)
        for word, tag in rjieba.tag(text, False)
    )

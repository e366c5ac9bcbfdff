"""Surnames that name a disease or a sign: Wilson's disease is nobody, Mr. Wilson somebody."""

from __future__ import annotations

import re

from emrobust.deid.tables import words

EPONYMS = frozenset(words("traps.toml", "eponyms"))
SURNAMES = frozenset(words("traps.toml", "surnames"))

_NAMED = "|".join(words("traps.toml", "named"))
_FIRST = "|".join(words("traps.toml", "named_first"))
# What may stand between: the rest of a double name, and behind an 's one word (popliteal cyst).
_REST = r"(?:[ -][A-Z][a-z]{1,20})?"
_OF = rf"{_REST}(?:['’]s|s['’])\s(?:[a-z]{{1,20}}\s)?(?i:{_NAMED})\b"
_THING = re.compile(rf"{_OF}|{_REST}\s(?i:{_NAMED})\b")
_SURE_THING = re.compile(rf"{_OF}|{_REST}\s(?i:{_FIRST})\b")


def names_thing(text: str, end: int, *, titled: bool = False) -> bool:
    """Whether the eponym that ends here is part of a disease's, sign's or device's name.

    Args:
        text: the note.
        end: offset behind the eponym.
        titled: whether a title stands before it, where ``Dr. Baker repair`` tells of a person.
    """
    return (_SURE_THING if titled else _THING).match(text, end) is not None

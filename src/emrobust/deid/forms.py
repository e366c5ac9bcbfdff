"""Numbers in the form of other numbers: each character becomes another of its class.

Digits stay digits in their own writing (ASCII, full width, Chinese), letters stay letters of
their case; blanks, hyphens and every other character stay where they are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

Draw = Callable[[int], int]
"""``draw(n)`` is the next number below n of a keyed stream."""

HAN_DIGITS = "〇一二三四五六七八九"
_HAN_VALUES = {c: v for v, c in enumerate(HAN_DIGITS)} | {"零": 0, "幺": 1}
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


def is_digit(character: str) -> bool:
    """Whether it writes a digit: 3, ３ or 三."""
    return character in _HAN_VALUES or unicodedata.digit(character, None) is not None


def digits_of(text: str) -> str:
    """The digits of a text, in ASCII."""
    return "".join(str(_HAN_VALUES.get(c, unicodedata.digit(c, -1))) for c in text if is_digit(c))


def put_digits(text: str, digits: Sequence[str]) -> str:
    """The text with its digits, in order, replaced; X may stand for a last digit."""
    source = iter(digits)
    return "".join(_like(c, next(source)) if is_digit(c) else c for c in text)


def _like(old: str, digit: str) -> str:
    if old in _HAN_VALUES:
        if not digit.isdigit():
            return digit
        return "零" if old == "零" and digit == "0" else HAN_DIGITS[int(digit)]
    if old.isascii():
        return digit
    return chr(ord(digit) + 0xFEE0)


def scramble(text: str, draw: Draw) -> str:
    """Every digit and Latin letter replaced by another of its class."""
    return "".join(_replace(c, draw) for c in text)


def _replace(character: str, draw: Draw) -> str:
    if is_digit(character):
        return _like(character, str(draw(10)))
    plain = unicodedata.normalize("NFKC", character)
    if len(plain) == 1 and plain.isascii() and plain.isalpha():
        made = chr(ord("a") + draw(26))
        made = made.upper() if plain.isupper() else made
        return made if character.isascii() else chr(ord(made) + 0xFEE0)
    return character


def id_check(body: str) -> str:
    """The check character of the first 17 digits of an identity card (GB 11643-1999)."""
    return _CHECKS[sum(w * int(d) for w, d in zip(_WEIGHTS, body, strict=True)) % 11]


def luhn_check(body: str) -> str:
    """The check digit behind the digits of a bank card (ISO/IEC 7812-1)."""
    doubled = (int(d) * (2 - place % 2) for place, d in enumerate(reversed(body)))
    return str(-sum(d - 9 * (d > 9) for d in doubled) % 10)

"""Bank cards: 16–19 digits by Luhn's check and the issuer's prefix, or behind 卡号."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from emrobust.deid.labelled import Labelled
from emrobust.deid.spans import Span
from emrobust.registry import register

_DIGITS = re.compile(r"\d(?<![\dA-Za-z.-].)(?:[ \n-]{0,2}\d){14,18}(?![\dA-Za-z])")
_ISSUER = re.compile(r"62|4|5[1-5]|3[4-7]|6[05]|9|2[2-7]")
_LETTERS = re.compile(r"\D")


@register("detector")
class BankCard(Labelled):
    """A bank card's number."""

    kinds: ClassVar[tuple[str, ...]] = ("bank_card",)
    source: ClassVar[str] = "ISO/IEC 7812 (Luhn; prefixes of UnionPay, Visa, Mastercard, JCB, Amex)"
    shapes = (_DIGITS,)
    value: ClassVar[str] = r"\d{4}(?:[ \n-]{0,2}\d){6,15}"
    shortest: ClassVar[int] = 10
    score: ClassVar[float] = 0.95

    def more(self, text: str) -> Iterable[Span]:
        """See `Labelled.more`."""
        for match in _DIGITS.finditer(text):
            number = _LETTERS.sub("", match[0])
            if _ISSUER.match(number) and passes_luhn(number):
                yield self.span(*match.span(), 0.97, "an issuer's prefix and Luhn's check")


def passes_luhn(number: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0

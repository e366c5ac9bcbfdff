"""Bank cards: 16–19 digits by Luhn's check and the issuer's prefix, or behind 卡号."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from emrobust.deid.labelled import Labelled
from emrobust.deid.spans import Span
from emrobust.registry import register

_DIGITS = re.compile(
    r"(?<![\dA-Za-z.-])(?:62|4\d|5[1-5]|3[4-7]|60|65|9[0-9]|2[2-7])\d{2}"
    r"(?:[ \n-]{0,2}\d){11,15}(?![\dA-Za-z])"
)
_LETTERS = re.compile(r"\D")


@register("detector")
class BankCard(Labelled):
    """A bank card's number."""

    kinds: ClassVar[tuple[str, ...]] = ("bank_card",)
    source: ClassVar[str] = "ISO/IEC 7812 (Luhn; prefixes of UnionPay, Visa, Mastercard, JCB, Amex)"
    value: ClassVar[str] = r"\d{4}(?:[ \n-]{0,2}\d){6,15}"
    shortest: ClassVar[int] = 10

    def more(self, text: str) -> Iterable[Span]:
        """See `Labelled.more`."""
        for match in _DIGITS.finditer(text):
            if passes_luhn(_LETTERS.sub("", match[0])):
                yield self.span(*match.span(), 0.97, "an issuer's prefix and Luhn's check")


def passes_luhn(number: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0

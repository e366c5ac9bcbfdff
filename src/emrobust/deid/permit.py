"""Permits and other cards: 港澳通行证, 台胞证, 居留证, 军官证, Hong Kong's and Taiwan's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import ClassVar

from emrobust.deid.labelled import NUMBER, Labelled
from emrobust.deid.spans import Span
from emrobust.registry import register

_SHAPE = re.compile(
    r"[A-Z](?<![A-Za-z0-9].)(?:(?P<hongkong>[A-Z]?\d{6}\s?\(?[\dA]\)?)|(?P<taiwan>[1289]\d{8})"
    r"|(?P<residence>[A-Z]{2}\d{12}))(?![A-Za-z0-9])"
)
# Letters of Taiwan's card as numbers, in the order of the alphabet.
_TAIWAN = (
    *(10, 11, 12, 13, 14, 15, 16, 17, 34, 18, 19, 20, 21),
    *(22, 35, 23, 24, 25, 26, 27, 28, 29, 32, 30, 31, 33),
)


@register("detector")
class Permit(Labelled):
    """A number behind a permit's name, or an identity card of Hong Kong or Taiwan by checksum."""

    kinds: ClassVar[tuple[str, ...]] = ("permit",)
    source: ClassVar[str] = "labels.csv; check digits of the Hong Kong and Taiwan identity cards"
    shapes = (_SHAPE,)
    value: ClassVar[str] = (
        rf"(?:{NUMBER}|[\u4e00-\u9fff]{{1,3}}字第?\s?\d{{4,12}}号?)(?:\([\dA]\))?"
    )

    def more(self, text: str) -> Iterable[Span]:
        """See `Labelled.more`."""
        for match in _SHAPE.finditer(text):
            number = re.sub(r"[\s()]", "", match[0])
            if _CHECKS[match.lastgroup or ""](number):
                yield self.span(
                    *match.span(), 0.9, f"an identity card of {match.lastgroup}, checked"
                )


def _is_hongkong(number: str) -> bool:
    letters = number[:-7].rjust(2)
    values = [36 if letter == " " else ord(letter) - 55 for letter in letters]
    values += [int(digit) for digit in number[-7:-1]]
    values.append(10 if number[-1] == "A" else int(number[-1]))
    return (
        sum(weight * value for weight, value in zip(range(9, 0, -1), values, strict=True)) % 11 == 0
    )


def _is_taiwan(number: str) -> bool:
    tens, ones = divmod(_TAIWAN[ord(number[0]) - 65], 10)
    digits = [tens, ones, *map(int, number[1:])]
    weights = (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)
    return sum(weight * digit for weight, digit in zip(weights, digits, strict=True)) % 10 == 0


_CHECKS: dict[str, Callable[[str], bool]] = {
    "hongkong": _is_hongkong,
    "taiwan": _is_taiwan,
    "residence": bool,
}

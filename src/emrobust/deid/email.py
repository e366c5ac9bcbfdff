"""E-mail addresses, also with blanks around the @ or (at)."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid.detector import Detector, Row
from emrobust.deid.spans import Span
from emrobust.registry import register

_ADDRESS = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+'-]{1,64}\s{0,2}(?:@|\(at\)|\[at\])\s{0,2}"
    r"[A-Za-z0-9-]{1,63}(?:\s?\.\s?[A-Za-z0-9-]{2,63}){1,4}"
)
_SIGNS = re.compile(r"@|[(\[]at[)\]]")


@register("detector")
class Email(Detector):
    """An e-mail address."""

    kinds: ClassVar[tuple[str, ...]] = ("email",)
    source: ClassVar[str] = "RFC 5321, the part in use"
    triggers = (_ADDRESS,)

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        if not _SIGNS.search(text):
            return []
        return [
            self.span(*match.span(), 0.99, "the shape of an e-mail address")
            for match in _ADDRESS.finditer(text)
        ]

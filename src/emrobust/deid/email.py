"""E-mail addresses, also with blanks around the @ or (at)."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid.detector import Detector, Row
from emrobust.deid.spans import Span
from emrobust.registry import register

_LABEL = "[A-Za-z0-9-]{1,63}"
_END = "(?![A-Za-z0-9-])"
_GAP = r"\s?\.\s?"
_GENERIC = "(?:com|net|org|edu|gov|ac|co|COM|NET|ORG|EDU|GOV)"
# In small letters only: CN are cranial nerves.
_COUNTRY = "(?:cn|uk|hk|tw|jp|kr|au|nz)"
# Behind x.com no longer word goes on the domain, and none in another case: what follows there is
# the next sentence, whose first word may be a No.
_TIGHT = (
    rf"(?:(?:\.(?!(?:com|net|org|edu|gov)\.(?:[a-z]{{3}}|no)){_LABEL}){{0,3}}\.(?:[a-z]{{2,24}}|{_GENERIC})"
    r"|(?:\.[A-Z0-9-]{1,63}){0,3}\.[A-Z]{2,24}"
    rf"|(?:\.{_LABEL}){{0,3}}\.(?:Com|Net|Org|Edu|Gov)){_END}"
    # a@x.com. cn, where nothing more is said
    rf"(?:{_GAP}{_COUNTRY}{_END}(?!\s?[A-Za-z0-9]))?"
)
# Blanks that slipped in around dots: only before what can end a domain.
_APART = (
    rf"(?:{_GAP}{_LABEL}){{0,2}}?{_GAP}"
    rf"(?:{_GENERIC}{_END}(?:{_GAP}{_COUNTRY}{_END})?|{_COUNTRY}{_END})"
)
_ADDRESS = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+'-]{1,64}\s{0,2}(?:@|\(at\)|\[at\])\s{0,2}"
    rf"{_LABEL}(?:{_TIGHT}|{_APART})"
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

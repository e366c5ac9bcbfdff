"""Addresses of web pages and machines: URL, domain, IPv4 and IPv6."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid.detector import Detector, Row
from emrobust.deid.spans import Span
from emrobust.registry import register

_URL = re.compile(
    r"(?:https?|ftp)://[!-~]{2,500}|(?<![A-Za-z0-9@.-])(?:[A-Za-z0-9-]{1,63}\.){1,5}"
    r"(?:com|cn|net|org|gov|edu|info|io|top|vip|me|cc|hk|tw)(?:\.cn)?(?![A-Za-z0-9.-])(?:/[!-~]{0,300})?"
)
_IP = re.compile(
    r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])"
    r"|(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w:])"
    r"|(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){1,6}:[0-9A-Fa-f]{1,4}(?![\w:])"
)
# 3.2.1.6 is a section, 22.22.31.21 are four measurements.
_THREE_DIGITS = re.compile(r"\d{3}")
_TOLD = re.compile(r"(?:IP|ip|地址|主机|服务器)[^\d\n]{0,6}$")

_NEAR = 10


@register("detector")
class Url(Detector):
    """A page's or machine's address."""

    kinds: ClassVar[tuple[str, ...]] = ("url", "ip")
    source: ClassVar[str] = "RFC 3986, RFC 4291; common top-level domains"
    triggers = (_URL, _IP)

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        found = []
        if "." in text:
            for match in _URL.finditer(text):
                end = match.start() + len(match[0].rstrip(".,;)"))
                found.append(self.span(match.start(), end, 0.95, "the shape of a URL"))
        if text.count(".") > 2 or "::" in text or text.count(":") > 6:
            for match in _IP.finditer(text):
                told = _TOLD.search(text[max(0, match.start() - _NEAR) : match.start()])
                if ":" not in match[0] and not told and not _THREE_DIGITS.search(match[0]):
                    continue
                found.append(self.span(*match.span(), 0.85, "the shape of an IP address", "ip"))
        return found

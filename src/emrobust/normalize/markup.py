"""HTML that an export left in: &nbsp; → a space, <br> → a line break, other tags go."""

from __future__ import annotations

import html
import re
from typing import ClassVar

from emrobust.normalize.alignment import Edit
from emrobust.normalize.step import Step
from emrobust.registry import register

_TAGS = "br|p|div|span|b|i|u|strong|em|font|table|tbody|tr|td|th|ul|ol|li|a|img|hr|h[1-6]|sub|sup"
_HTML = re.compile(
    r"&(?:#\d{1,6}|#x[0-9A-Fa-f]{1,5}|[A-Za-z]{2,8})[;；]"
    rf"|<(?i:/?(?:{_TAGS})(?:\s[^<>]{{0,300}})?)/?>"
)
_LINE = re.compile(r"</?(?:br|p|div|tr|td|th|li|h[1-6])\b", re.IGNORECASE)


@register("normalizer")
class Markup(Step):
    """Entities and the commonest tags; <sup> becomes ^, so that 10<sup>9</sup> is not 109."""

    order: ClassVar[int] = 15
    back_to: ClassVar[int | None] = 0
    languages: ClassVar[frozenset[str]] = frozenset({"zh", "en"})

    def edits(self, text: str) -> list[Edit]:
        """See `Step.edits`."""
        if "<" not in text and "&" not in text:
            return []
        found = []
        for match in _HTML.finditer(text):
            new = _plain(text, match)
            if new != match[0]:
                found.append(Edit(match.start(), match.end(), new))
        return found


def _plain(text: str, match: re.Match[str]) -> str:
    if match[0][0] == "&":
        plain = html.unescape(match[0].replace("；", ";")).replace("\u00a0", " ")
        return match[0] if plain[0] == "&" and len(plain) > 1 else plain
    if _LINE.match(match[0]):
        return "\n"
    if match[0][:4].lower() == "<sup":
        return "^"
    beside = text[match.start() - 1 : match.start()] + text[match.end() : match.end() + 1]
    return " " if len(beside) == 2 and beside.isascii() and beside.isalnum() else ""

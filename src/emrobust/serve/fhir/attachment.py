"""A document's bytes → text: base64, the character set that it names, HTML without its tags."""

from __future__ import annotations

import base64
import binascii
import re
from email.message import Message
from html.parser import HTMLParser

from emrobust.serve.fhir.resources import Attachment, ResourceError

PLAIN, MARKED_UP = "text/plain", ("text/html", "application/xhtml+xml")
# GB2312 and GBK are parts of GB18030, and much that is called so is more than they hold.
_CHARSETS = {
    "utf-8": "utf-8-sig",
    "utf8": "utf-8-sig",
    "us-ascii": "ascii",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
}
_BLOCK = re.compile("p|div|br|li|tr|h[1-6]|table|ul|ol|section")
_UNSEEN = frozenset(("script", "style", "title"))


def is_readable(attachment: Attachment) -> bool:
    """Whether it holds a text here: neither a picture nor a mere link."""
    return bool(attachment.data) and _kind(attachment)[0] in (PLAIN, *MARKED_UP)


def read(attachment: Attachment, where: str) -> str:
    """The text of an attachment that `is_readable`.

    Raises:
        ResourceError: no base64, an unknown character set, or bytes that are not of it.
    """
    kind, charset = _kind(attachment)
    codec = _CHARSETS.get(charset.lower())
    if codec is None:
        raise ResourceError(
            "not-supported",
            f"{where}.contentType names an unknown character set",
            "Known are UTF-8, GB18030, GBK, GB2312 and US-ASCII.",
            (f"{where}.contentType",),
        )
    try:
        raw = base64.b64decode("".join(attachment.data.split()), validate=True)
        text = raw.decode(codec)
    except (binascii.Error, ValueError) as error:
        broken = "is no base64" if not isinstance(error, UnicodeError) else f"is not {charset}"
        raise ResourceError(
            "value", f"{where}.data {broken}", "Encode the text's bytes anew.", (f"{where}.data",)
        ) from None
    return plain(text) if kind in MARKED_UP else text


def _kind(attachment: Attachment) -> tuple[str, str]:
    """Media type and character set."""
    message = Message()
    message["Content-Type"] = attachment.contentType or PLAIN
    return message.get_content_type(), str(message.get_param("charset") or "utf-8")


class _Words(HTMLParser):
    """Gathers what a reader sees."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._unseen += tag in _UNSEEN
        if _BLOCK.fullmatch(tag):
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN and self._unseen > 0
        if _BLOCK.fullmatch(tag):
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(data)


def plain(markup: str) -> str:
    """HTML or XHTML without its tags; blocks become lines."""
    words = _Words()
    words.feed(markup)
    words.close()
    lines = (" ".join(line.split()) for line in re.split(r"\n+", "".join(words.parts)))
    return "\n".join(line for line in lines if line)

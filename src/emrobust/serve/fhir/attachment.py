"""A document's bytes → text: base64, the character set that it names, HTML without its tags."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterator
from email.message import Message

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
_END = {name: re.compile(f"</{name}\\b", re.IGNORECASE) for name in _UNSEEN}
_COMMENT = "<!--"
# A tag, a declaration or an instruction; none goes on behind the next `<`.
_TAG = re.compile(
    r"""<(?:/?(?P<name>[A-Za-z][A-Za-z0-9]*+)(?:[^<>"']|"[^"<]*+"|'[^'<]*+')*+|[!?][^<>]*+)>"""
)


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


def plain(markup: str) -> str:
    """HTML or XHTML without its tags; blocks become lines.

    Every character is looked at a few times at most: the standard library's parser takes minutes
    for a hundred kilobytes of tags that never end, and nobody else would be answered meanwhile.
    """
    lines = (" ".join(line.split()) for line in re.split(r"\n+", "".join(_words(markup))))
    return "\n".join(line for line in lines if line)


def _words(markup: str) -> Iterator[str]:
    """What a reader sees, and a line end at each edge of a block."""
    place = 0
    while (start := markup.find("<", place)) >= 0:
        yield html.unescape(markup[place:start])
        if markup.startswith(_COMMENT, start):
            place = _behind(markup.find("-->", start), 3, markup)
        elif (tag := _TAG.match(markup, start)) is None:
            yield "<"  # less than
            place = start + 1
        else:
            place = tag.end()
            name = (tag["name"] or "").lower()
            if _BLOCK.fullmatch(name):
                yield "\n"
            if name in _UNSEEN and markup[start + 1] != "/" and markup[place - 2] != "/":
                end = _END[name].search(markup, place)
                place = len(markup) if end is None else end.start()
    yield html.unescape(markup[place:])


def _behind(found: int, length: int, markup: str) -> int:
    """The place behind something found; the end where it was not."""
    return len(markup) if found < 0 else found + length

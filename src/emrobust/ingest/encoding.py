"""Which encoding a text file is in, and its content as UTF-8.

A file counts as UTF-8 or GB18030 when samples from its beginning and from three places
further on are (nearly) free of errors; GB18030, which takes almost any bytes, must
moreover look like Chinese. The whole file is then decoded strictly: what is not of the
encoding is marked, and the rows that hold a mark are refused one by one.
"""

from __future__ import annotations

import codecs
import io
from functools import partial
from pathlib import Path
from typing import Any, Literal

from emrobust.errors import SourceError
from emrobust.ingest.table import UNDECODABLE

HEAD_BYTES = 1 << 18
_PLACE_BYTES = 1 << 16
_TOLERATED = 0.01  # errors per non-ASCII character: a damaged file is still of its encoding
_TOLERATED_WHERE_WANTED = 0.2  # the user knows; but not that every row is refused
_ASCII_WEIGHT = 0.1  # of a plain character in that share: one accent spoils no English file
_CHINESE = 0.8  # share of GB 2312 (6,763 characters) among the non-ASCII characters
_SIGNATURES = {
    b"PK\x03\x04": "an Excel file or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"PAR1": "a Parquet file",
    b"SQLite format 3\x00": "an SQLite database",
    b"\x1f\x8b": "a gzip archive",
}


def sample(path: Path) -> list[bytes]:
    """The beginning of a file, and three pieces further on that begin with a line."""
    size = path.stat().st_size
    with path.open("rb") as file:
        pieces = [file.read(HEAD_BYTES)]
        for quarter in (1, 2, 3) if size > 4 * HEAD_BYTES else ():
            file.seek(size * quarter // 4)
            _, newline, piece = file.read(_PLACE_BYTES).partition(b"\n")
            pieces += [piece] if newline else []
    return pieces


def detect(path: Path, wanted: str = "auto") -> str:
    """The name of the file's encoding: ``utf-8``, ``utf-8-sig`` or ``gb18030``.

    Raises:
        SourceError: it is neither, or not what was ``wanted``.
    """
    pieces = sample(path)
    _refuse_binary(path, pieces[0])
    found = _guess(pieces)
    if wanted == "auto" and found:
        return found
    if wanted != "auto" and _errors(pieces, wanted) <= _TOLERATED_WHERE_WANTED:
        return found if found == "utf-8-sig" else wanted
    if found:
        raise SourceError(
            f"{path.name} is not {wanted}; it looks like {found}",
            'Set encoding = "auto" in [source].',
        )
    raise SourceError(
        f"{path.name} is neither UTF-8 nor GB18030",
        "Save it as UTF-8 (in Excel: Save as, CSV UTF-8), or export it again.",
    )


def _refuse_binary(path: Path, head: bytes) -> None:
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            raise SourceError(
                f"{path.name} is not text but {kind}", "Give the file the suffix of its kind."
            )
    # Zeros at every other place are UTF-16; a few may be control characters in a cell.
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or _zeros(head) > 0.05:
        raise SourceError(
            f"{path.name} is UTF-16 or no text at all",
            "Save it as UTF-8 (in Excel: Save as, CSV UTF-8; in Notepad: choose the encoding).",
        )


def _zeros(data: bytes) -> float:
    return data.count(0) / max(len(data), 1)


def _guess(pieces: list[bytes]) -> str | None:
    if pieces[0].startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    damage = _errors(pieces, "utf-8")
    if damage == 0:
        return "utf-8"
    if _errors(pieces, "gb18030") <= _TOLERATED and _chinese(pieces) >= _CHINESE:
        return "gb18030"
    return "utf-8" if damage <= _TOLERATED else None


def _text(pieces: list[bytes], encoding: str) -> str:
    make = codecs.getincrementaldecoder(encoding)
    # Not final: a piece may end within a character.
    return "".join(make("emrobust.mark").decode(piece) for piece in pieces)


def _errors(pieces: list[bytes], encoding: str) -> float:
    text = _text(pieces, encoding)
    special = sum(character > "\x7f" for character in text)
    return text.count(UNDECODABLE) / max(special, _ASCII_WEIGHT * len(text), 1)


def _chinese(pieces: list[bytes]) -> float:
    special = "".join(c for c in _text(pieces, "gb18030") if c > "\x7f")
    return len(special.encode("gb2312", "ignore")) / max(2 * len(special), 1)


class Transcoder(io.RawIOBase):
    """A binary stream of a text file's content as UTF-8, without a byte-order mark.

    Args:
        path: the file.
        encoding: what `detect` found.
        tail: appended after the last byte.

    Attributes:
        damaged: whether something could not be decoded so far, and was marked.
    """

    def __init__(self, path: Path, encoding: str, tail: str = "") -> None:
        self._file = path.open("rb", buffering=0)
        self._decoder = codecs.getincrementaldecoder(encoding)("emrobust.mark")
        # Two bytes of GB18030 become three of UTF-8.
        self._growth = 2 if encoding == "gb18030" else 1
        self._rest = b""
        self._tail: str | None = tail
        self.damaged = False

    def readable(self) -> Literal[True]:
        """Yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; none at the end only."""
        if size < 0:
            return b"".join(iter(partial(self.read, 1 << 24), b""))
        # Filled to the brim: the parser takes a record over two blocks, but not over three.
        while len(self._rest) < size and self._tail is not None:
            data = self._file.read(max((size - len(self._rest)) // self._growth, 1))
            text = self._decoder.decode(data, final=not data)
            if UNDECODABLE in text:
                self.damaged = True
            if not data:
                text, self._tail = text + self._tail, None
            self._rest += text.encode()
        given, self._rest = self._rest[:size], self._rest[size:]
        return given

    def readinto(self, buffer: Any) -> int:
        """For buffered and text readers over this stream."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def open_text(path: Path, encoding: str) -> io.TextIOWrapper:
    """The content as characters: a read never ends within one, and line ends stay as they are."""
    raw = Transcoder(path, encoding)
    return io.TextIOWrapper(io.BufferedReader(raw, 1 << 20), encoding="utf-8", newline="")

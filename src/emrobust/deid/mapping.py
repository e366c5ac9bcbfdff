"""The way back: which original stands behind which replacement, encrypted with the user's key.

It is written only when asked for. The file is a header and chunks of JSON lines, each sealed with
AES-256-GCM under its number, so that a chunk that was changed, moved or cut off is noticed; the
last chunk is empty and marked as the last. The key is stretched with a salt of the file's own.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from emrobust import runs
from emrobust.deid.key import Key
from emrobust.errors import ConfigError, InputError

_MAGIC = b"emrobust mapping 1\n"
_SALT = 16
_LAST, _MORE = b"last", b"more"


class Mapping:
    """Takes entries and seals them; made by `create`."""

    def __init__(self, file: BinaryIO, cipher: AESGCM) -> None:
        self._file = file
        self._cipher = cipher
        self._chunks = 0

    def add(self, entries: Iterable[dict[str, Any]]) -> None:
        """Seal some entries as one chunk."""
        lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        if lines:
            self._seal(lines.encode(), _MORE)

    def close(self) -> None:
        """Write the mark of the end."""
        self._seal(b"", _LAST)

    def _seal(self, plain: bytes, mark: bytes) -> None:
        nonce = self._chunks.to_bytes(12, "big")
        sealed = self._cipher.encrypt(nonce, plain, mark)
        self._file.write(len(sealed).to_bytes(4, "big") + mark + sealed)
        self._chunks += 1


@contextlib.contextmanager
def create(path: Path, key: Key) -> Iterator[Mapping]:
    """A new mapping file, whole or absent, that only its owner can read.

    Raises:
        ConfigError: the file exists; a mapping is never overwritten.
        StorageError: the disk is full or the folder cannot be written.
    """
    refuse(path)
    with runs.atomic_file(path) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            partial.chmod(stat.S_IRUSR | stat.S_IWUSR)
            salt = secrets.token_bytes(_SALT)
            file.write(_MAGIC + salt)
            made = Mapping(file, _cipher(key, salt))
            yield made
            made.close()


def refuse(path: Path) -> None:
    """Refuse a mapping file that exists already.

    Raises:
        ConfigError: it does.
    """
    if path.exists():
        raise ConfigError(
            f"the mapping file {path} exists already; it is never overwritten",
            "Choose another name, or move the old one to a safe place.",
        )


def read(path: Path, key: Key) -> Iterator[dict[str, Any]]:
    """The entries of a mapping file.

    Raises:
        InputError: it is missing, no mapping, of another key, changed or cut off.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"the mapping file {path} cannot be read ({error.strerror})") from None
    with file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise InputError(f"{path} is no mapping file")
        cipher = _cipher(key, file.read(_SALT))
        for chunk, (mark, sealed) in enumerate(_chunks(file, path)):
            try:
                plain = cipher.decrypt(chunk.to_bytes(12, "big"), sealed, mark)
            except InvalidTag:
                raise InputError(
                    f"chunk {chunk} of {path} cannot be opened",
                    "It was sealed with another key, or the file was changed.",
                ) from None
            if mark == _LAST:
                return
            yield from (json.loads(line) for line in plain.decode().splitlines())
    raise InputError(f"{path} is cut off", "Restore the whole file.")


def _chunks(file: BinaryIO, path: Path) -> Iterator[tuple[bytes, bytes]]:
    while head := file.read(8):
        sealed = file.read(int.from_bytes(head[:4], "big"))
        if len(head) < 8 or len(sealed) < int.from_bytes(head[:4], "big"):
            raise InputError(f"{path} is cut off", "Restore the whole file.")
        yield head[4:], sealed


def _cipher(key: Key, salt: bytes) -> AESGCM:
    return AESGCM(key.digest("mapping", salt.hex()))

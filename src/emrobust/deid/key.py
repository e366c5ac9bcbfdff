"""The key that surrogates, shifts and pseudonyms come from: a file that its owner alone can read.

Nothing of a key is ever written, logged or shown: a `Key` prints as ``Key(…)`` and pickles only
into a worker process of this run. Whoever has the outputs and not the key can neither recompute
a surrogate nor test a guess of the original against it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import final

from emrobust.errors import ConfigError, StorageError

MIN_BYTES = 16
_MIN_DISTINCT = 6  # bytes; "aaaaaaaaaaaaaaaa" is long and no secret
_MAX_BYTES = 1 << 16
_SALT = b"emrobust deid key 1"


@final
class Key:
    """A secret, stretched once (scrypt) so that even a weak one is slow to guess.

    Args:
        secret: at least `MIN_BYTES` bytes.

    Raises:
        ConfigError: it is empty, too short or all alike.
    """

    __slots__ = ("_root",)

    def __init__(self, secret: bytes) -> None:
        _check(secret, "the key")
        self._root = hashlib.scrypt(secret, salt=_SALT, n=1 << 14, r=8, p=1, dklen=32)

    def __repr__(self) -> str:
        return "Key(…)"

    def digest(self, *names: str) -> bytes:
        """32 bytes that follow from the key and the names, and tell nothing of either."""
        message = b"".join(
            len(part).to_bytes(8, "big") + part for part in (name.encode() for name in names)
        )
        return hmac.digest(self._root, message, "sha256")

    def number(self, *names: str) -> int:
        """A 128-bit number that follows from the key and the names."""
        return int.from_bytes(self.digest(*names)[:16], "big")

    def pseudonym(self, purpose: str, name: str) -> str:
        """20 hexadecimal characters in place of a number: 80 bits, so none is there twice."""
        return self.digest("pseudonym", purpose, name).hex()[:20]

    def fingerprint(self) -> str:
        """Eight characters that show whether two runs used one key, and not which."""
        return self.digest("fingerprint").hex()[:8]


def read_key(path: Path) -> Key:
    """Read a key file.

    Raises:
        ConfigError: it is missing, empty, too short, or readable by others than its owner.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(f"the key file {path} is not a file", _HOW)
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(
                f"the key file {path} can be read by others (mode {stat.S_IMODE(mode):o})",
                f"Make it yours alone: chmod 600 {path}",
            )
        with path.open("rb") as file:
            secret = file.read(_MAX_BYTES)
    except FileNotFoundError:
        raise ConfigError(f"the key file {path} does not exist", _HOW) from None
    except PermissionError:
        raise ConfigError(f"the key file {path} may not be read", "Ask its owner.") from None
    _check(secret.strip(), f"the key file {path}")
    return Key(secret.strip())


def make_key(path: Path) -> None:
    """Write a new random key that only its owner can read.

    Raises:
        ConfigError: the file exists; a key is never overwritten.
        StorageError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(
            f"{path} exists; a key is never overwritten", "Choose another name."
        ) from None
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror})") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")


_HOW = "Make one with `emrobust deid --new-key FILE`, and keep it apart from the project."


def _check(secret: bytes, what: str) -> None:
    if not secret:
        raise ConfigError(f"{what} is empty", _HOW)
    if len(secret) < MIN_BYTES or len(set(secret)) < _MIN_DISTINCT:
        raise ConfigError(f"{what} is too short or too simple to be a secret", _HOW)

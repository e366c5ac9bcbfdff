"""Texts, sealed with AES-256-GCM under the hospital's key; without a key none is kept."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from emrobust.errors import StoreError

if TYPE_CHECKING:
    from emrobust.deid.key import Key

_NONCE = 12


@final
class Seal:
    """Closes and opens texts; each is bound to the id of its row, so it cannot be moved."""

    def __init__(self, key: Key) -> None:
        self._cipher = AESGCM(key.digest("store texts"))

    def close(self, text: str, row: str) -> bytes:
        """The text, encrypted for the row of this id."""
        nonce = secrets.token_bytes(_NONCE)
        # "replace": half a surrogate pair, which JSON can carry, is no reason to lose the rest.
        return nonce + self._cipher.encrypt(nonce, text.encode("utf-8", "replace"), row.encode())

    def open(self, sealed: bytes, row: str) -> str:
        """The text of the row of this id.

        Raises:
            StoreError: it was sealed with another key or for another row, or was changed.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], row.encode()).decode()
        except InvalidTag:
            raise StoreError(
                f"the text of {row} cannot be opened",
                "It was sealed with another key, or it was changed.",
            ) from None


def read_seal(path: Path) -> Seal:
    """The seal of a key file, made with ``emrobust deid --new-key FILE``.

    Raises:
        ConfigError: the file is missing, too short, or readable by others than its owner.
    """
    # Late: its room loads every detector, and most stores keep no text.
    from emrobust.deid.key import read_key  # noqa: PLC0415

    return Seal(read_key(path))

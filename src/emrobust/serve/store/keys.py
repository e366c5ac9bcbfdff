"""API keys: shown once, kept as argon2id hashes, with a role and an end.

A key is ``emr_PREFIX_SECRET``. The prefix finds the row; the secret has 256 random bits, so that
argon2's cost guards against a weak copy of the rule rather than against guessing. A right key is
remembered in memory for a few seconds, since argon2 takes longer than a prediction.
"""

from __future__ import annotations

import datetime as dt
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal, get_args

import argon2
import sqlalchemy as sa
from argon2.exceptions import InvalidHashError, VerificationError

from emrobust.errors import DeniedError, InputError, NotFoundError, did_you_mean
from emrobust.serve.store import chain, clock
from emrobust.serve.store.database import Database
from emrobust.serve.store.entries import Event, short, to_rows
from emrobust.serve.store.schema import KEYS

Role = Literal["clinician", "reviewer", "administrator"]
ROLES: tuple[Role, ...] = get_args(Role)  # each may do what those before it may
REMEMBERED_SECONDS = 5.0
_MOST_REMEMBERED = 10_000
START = "emr"  # of every key

# OWASP's least setting of argon2id: 19 MiB, two passes, one thread.
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@dataclass(frozen=True)
class ApiKey:
    """A key as the store knows it, without its secret.

    Attributes:
        prefix: what the log calls it.
        name: whose or what it is for.
        role: clinician, reviewer or administrator.
        created: when.
        expires: until when; None for no end.
        revoked: since when it is refused; None if it is not.
    """

    prefix: str
    name: str
    role: Role
    created: str
    expires: str | None
    revoked: str | None

    def allows(self, role: Role) -> bool:
        """Whether this key may do what the role may."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def state(self) -> Literal["valid", "expired", "revoked"]:
        """What it is at this moment."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= clock.now() else "valid"


def add(
    database: Database, *, name: str, role: str, actor: str, lifetime: dt.timedelta | None = None
) -> tuple[str, ApiKey]:
    """Make a key.

    Returns:
        the key itself, which nobody can show again, and what the store knows of it.

    Raises:
        InputError: an unknown role, a lifetime in the past, or a name that is none.
    """
    if role not in ROLES:
        raise InputError(f"there is no role {role!r}", did_you_mean(role, ROLES))
    if lifetime is not None and lifetime <= dt.timedelta():
        raise InputError("a key must be valid for some time")
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    expires = None if lifetime is None else clock.write(dt.datetime.now(dt.UTC) + lifetime)
    key = ApiKey(prefix, short(name, "name"), role, clock.now(), expires, None)
    token = f"{START}_{prefix}_{secret}"
    with database.write() as connection:
        connection.execute(sa.insert(KEYS), [{**vars(key), "hash": _HASHER.hash(secret)}])
        _tell(database, connection, actor, "key added", key)
    return token, key


def revoke(database: Database, prefix: str, actor: str) -> ApiKey:
    """Refuse a key from now on (within `REMEMBERED_SECONDS` in a service that runs).

    Raises:
        NotFoundError: there is no such key.
    """
    with database.write() as connection:
        asked = sa.select(KEYS).where(KEYS.c.prefix == prefix).with_for_update()
        found = connection.execute(asked).one_or_none()
        if found is None:
            raise NotFoundError("there is no key with this prefix", "See `emrobust keys list`.")
        if found.revoked is None:
            values = {"revoked": clock.now()}
            connection.execute(sa.update(KEYS).where(KEYS.c.prefix == prefix).values(values))
            _tell(database, connection, actor, "key revoked", _read(found))
        return _read(connection.execute(asked).one())


def every(database: Database) -> list[ApiKey]:
    """All keys, the oldest first."""
    with database.read() as connection:
        found = connection.execute(sa.select(KEYS).order_by(KEYS.c.created))
        return [_read(row) for row in found]


class Doorkeeper:
    """Tells whose a key is; keeps right ones in memory for `REMEMBERED_SECONDS`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # What is remembered is a digest under a secret of this process, never the key.
        self._secret = secrets.token_bytes(32)
        self._known: dict[bytes, tuple[float, ApiKey]] = {}
        self._lock = threading.Lock()

    def admit(self, token: str) -> ApiKey:
        """The key that a caller showed.

        Raises:
            DeniedError: it is unknown, expired or revoked.
            UnavailableError: the database is away and the key is not remembered.
        """
        known = self._recall(token)
        if known is None:
            known = self._look_up(token)
            self._remember(self._mark(token), known)
        if (state := known.state()) != "valid":
            raise DeniedError(f"the API key {known.prefix} is {state}", "Ask for a new one.")
        return known

    def recall(self, token: str) -> ApiKey | None:
        """The key if it is remembered and valid; asks no database, so it never waits."""
        known = self._recall(token)
        return known if known is not None and known.state() == "valid" else None

    def _recall(self, token: str) -> ApiKey | None:
        with self._lock:
            until, known = self._known.get(self._mark(token), (0.0, None))
        return known if until >= time.monotonic() else None

    def _mark(self, token: str) -> bytes:
        return hmac.digest(self._secret, token.encode("utf-8", "replace"), "sha256")

    def _remember(self, mark: bytes, key: ApiKey) -> None:
        with self._lock:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[mark] = (time.monotonic() + REMEMBERED_SECONDS, key)

    def prefixes(self) -> frozenset[str]:
        """The prefixes of all keys, revoked ones too; the secret behind any other is not looked at.

        Raises:
            UnavailableError: the database is away.
        """
        with self._database.read() as connection:
            return frozenset(connection.execute(sa.select(KEYS.c.prefix)).scalars())

    def _look_up(self, token: str) -> ApiKey:
        prefix, secret = split(token)
        with self._database.read() as connection:
            found = connection.execute(sa.select(KEYS).where(KEYS.c.prefix == prefix)).one_or_none()
        if found is None:
            raise unknown()
        try:
            _HASHER.verify(found.hash, secret)
        except (VerificationError, InvalidHashError):
            raise unknown() from None
        return _read(found)


def split(token: str) -> tuple[str, str]:
    """The prefix and the secret of a key.

    Raises:
        DeniedError: it does not look like a key.
    """
    start, _, rest = token.partition("_")
    prefix, _, secret = rest.partition("_")
    if start != START or not secret or not prefix.isalnum():
        raise unknown()
    return prefix, secret


def unknown() -> DeniedError:
    """What is said of a wrong key, whatever is wrong with it."""
    return DeniedError("the API key is unknown", "Ask an administrator for one.")


def _tell(
    database: Database, connection: sa.Connection, actor: str, action: str, key: ApiKey
) -> None:
    detail = {"key": key.prefix, "role": key.role, "expires": key.expires}
    event = Event(actor=actor, action=action, detail=detail)
    chain.append(database, connection, [to_rows(event).audit])


def _read(row: sa.Row[Any]) -> ApiKey:
    return ApiKey(row.prefix, row.name, row.role, row.created, row.expires, row.revoked)

"""Tokens of the hospital's own sign-in (OpenID Connect): whose they are, and what they may do.

The issuer's public keys come from a file or from one address, which is the only one that the
service ever asks for anything. They are kept for an hour, and asked for again when a token names a
key that is not among them, twice a minute at most.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, final

import jwt

from emrobust import runs
from emrobust.errors import ConfigError, DeniedError, InputError, RunError, UnavailableError
from emrobust.serve.caller import Caller
from emrobust.serve.problem import RefusedError
from emrobust.serve.settings import SignIn
from emrobust.serve.store.entries import short
from emrobust.serve.store.keys import ROLES, Role

_LEEWAY_SECONDS = 30
_KEPT_SECONDS = 3600.0
_PAUSE_SECONDS = 30.0
_FETCH_SECONDS = 5.0
_MOST_BYTES = 1_000_000
_NEEDED = ("exp", "iss", "aud", "sub")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The keys come from where the settings say and from nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        """Refuse."""


@final
class TokenReader:
    """Reads tokens of one issuer.

    Args:
        settings: the section ``[sign_in]``, with an issuer.

    Raises:
        ConfigError: the file of keys cannot be used.
    """

    def __init__(self, settings: SignIn) -> None:
        self._settings = settings
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._asked = self._fetched = -_KEPT_SECONDS
        self._fetching = asyncio.Lock()
        if settings.keys_file is not None:
            try:
                self._keys = read_keys(runs.read_json(settings.keys_file))
            except (RunError, OSError):
                raise ConfigError(f"{settings.keys_file} holds no public keys (JWKS)") from None

    async def admit(self, token: str) -> Caller:
        """The caller that a token names.

        Raises:
            DeniedError: it is none, is expired, or is not for this service.
            RefusedError: it names none of the known roles (403).
            UnavailableError: the issuer's keys cannot be had.
        """
        try:
            number = jwt.get_unverified_header(token).get("kid")
            key = await self._key(number)
            claims = jwt.decode(
                token,
                key,
                algorithms=list(self._settings.algorithms),
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": list(_NEEDED)},
            )
        except jwt.ExpiredSignatureError:
            raise DeniedError("the sign-in is over", "Sign in again.") from None
        except jwt.PyJWTError as error:
            raise DeniedError(
                f"the token is not accepted ({type(error).__name__})",
                "Sign in again, or use an API key.",
            ) from None
        return self._caller(claims)

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        role = self._role(claims)
        if role is None:
            raise RefusedError(
                403,
                "role",
                f"the sign-in names no role of this service in `{self._settings.role_claim}`",
                f"Known are: {', '.join(ROLES)}; sign_in.roles maps others.",
            )
        try:
            actor = short(f"oidc {claims['sub']}", "sub")
        except InputError:
            raise DeniedError("the token's subject is no short name") from None
        name = claims.get("name") or claims.get("preferred_username")
        return Caller(actor, role, name if isinstance(name, str) else actor)

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        """The highest of the roles that the claim names."""
        found: Any = claims
        for part in self._settings.role_claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        given = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        named = {self._settings.roles.get(str(value), str(value)) for value in given}
        return next((role for role in reversed(ROLES) if role in named), None)

    async def _key(self, number: str | None) -> jwt.PyJWK:
        if self._must_ask(number):
            async with self._fetching:
                await self._renew(number)
        if number is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        if number not in self._keys:
            raise DeniedError("the token is signed by no key of the issuer", "Sign in again.")
        return self._keys[number]

    def _must_ask(self, number: str | None) -> bool:
        """Whether a token waits for the keys; not where its own is known and another one asks."""
        if self._settings.keys_url is None:
            return False
        return number not in self._keys or (self._is_old and not self._fetching.locked())

    @property
    def _is_old(self) -> bool:
        return time.monotonic() - self._fetched >= _KEPT_SECONDS

    async def _renew(self, number: str | None) -> None:
        """Ask for the keys where they are old, or where the token's is not among them."""
        now = time.monotonic()
        if not (self._is_old or number not in self._keys) or now - self._asked < _PAUSE_SECONDS:
            return
        self._asked = now
        try:
            self._keys = read_keys(await asyncio.to_thread(self._fetch))
            self._fetched = now
        except (OSError, HTTPException, ValueError, ConfigError):
            if not self._keys:
                raise UnavailableError(
                    "the sign-in's public keys cannot be had", "Try again soon, or use an API key."
                ) from None

    def _fetch(self) -> Any:
        """The keys as JSON, past any proxy and redirect."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
        with opener.open(str(self._settings.keys_url), timeout=_FETCH_SECONDS) as answer:
            return json.loads(answer.read(_MOST_BYTES))


def read_keys(found: Any) -> dict[str | None, jwt.PyJWK]:
    """Public keys of a JWKS by number; kinds that PyJWT does not know are left out.

    Raises:
        ConfigError: it is none.
    """
    listed = found.get("keys") if isinstance(found, Mapping) else None
    if not isinstance(listed, list):
        raise ConfigError("there are no public keys (JWKS)")
    return {key.key_id: key for key in map(_read_key, listed) if key is not None}


def _read_key(found: Any) -> jwt.PyJWK | None:
    try:
        return jwt.PyJWK(found)
    except (jwt.PyJWTError, TypeError, AttributeError):
        return None

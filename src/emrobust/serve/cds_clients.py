"""Tokens that CDS Hooks clients sign themselves, as section "Trusting CDS Clients" of 2.0 says.

A token is for one address of the service, lives an hour at most, is signed by a key that the
hospital put into a file (nothing is fetched, so ``jku`` is not looked at), and is taken once. Who
has one may ask the CDS services and nothing else.
"""

from __future__ import annotations

import time
from typing import Any, final

import jwt

from emrobust import runs
from emrobust.errors import ConfigError, DeniedError, InputError, RunError
from emrobust.serve.caller import Caller
from emrobust.serve.settings import CdsHooks
from emrobust.serve.sign_in import read_keys
from emrobust.serve.store.entries import short

# Asymmetric ones alone: the specification forbids `none` and whatever shares a secret.
ALGORITHMS = ("ES384", "RS384", "ES256", "RS256", "PS256", "PS384")
_NEEDED = ("iss", "aud", "exp", "iat", "jti")
_LONGEST_SECONDS = 3600.0
_LEEWAY_SECONDS = 30.0
_MOST_REMEMBERED = 100_000


@final
class ClientTokens:
    """Reads the tokens of one issuer.

    Args:
        settings: the section ``[cds_hooks]``, with an issuer.
        address: of the service, as clients call it.

    Raises:
        ConfigError: there is no address, or the file holds no keys.
    """

    def __init__(self, settings: CdsHooks, address: str | None) -> None:
        if address is None:
            raise ConfigError(
                "`cds_hooks.issuer` needs `serve.address`",
                "A client's token names the address that it is for.",
            )
        try:
            self._keys = read_keys(runs.read_json(settings.keys_file)) if settings.keys_file else {}
        except (RunError, OSError):
            raise ConfigError(f"{settings.keys_file} holds no public keys (JWKS)") from None
        self._issuer = settings.issuer
        self._address = address.rstrip("/")
        self._seen: dict[str, float] = {}

    def is_meant(self, token: str) -> bool:
        """Whether a token says that it is of this issuer; nothing is believed of it yet."""
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            return False
        return claims.get("iss") == self._issuer

    def admit(self, token: str, path: str) -> Caller:
        """The client that signed a token for this path.

        Raises:
            DeniedError: it is not for this path, not signed by a known key, over, or used before.
        """
        try:
            key = self._keys[jwt.get_unverified_header(token).get("kid")]
            claims = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=f"{self._address}{path}",
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": list(_NEEDED)},
            )
            self._take(claims)
            tenant = claims.get("tenant")
            actor = short(
                f"cds {tenant if isinstance(tenant, str) else self._issuer}", "actor", 100
            )
        except (jwt.PyJWTError, KeyError, InputError) as error:
            raise DeniedError(
                f"the client's token is not accepted ({type(error).__name__})",
                "Sign a new one for this address, with a key that the service knows.",
            ) from None
        return Caller(actor, "clinician", str(self._issuer))

    def _take(self, claims: dict[str, Any]) -> None:
        """Remember a token until it is over, so that it is no use to who overheard it."""
        now, end, number = time.time(), float(claims["exp"]), short(claims["jti"], "jti")
        if end - now > _LONGEST_SECONDS + _LEEWAY_SECONDS:
            raise InputError("the token lives too long")
        if len(self._seen) >= _MOST_REMEMBERED:
            self._seen = {jti: until for jti, until in self._seen.items() if until > now}
        if number in self._seen or len(self._seen) >= _MOST_REMEMBERED:
            raise InputError("the token was used before")
        self._seen[number] = end + _LEEWAY_SECONDS

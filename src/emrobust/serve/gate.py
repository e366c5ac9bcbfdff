"""Who asks, and what they may do: an API key or a token of the hospital's sign-in, and a role.

A route says which role it needs by the type of an argument::

    async def list_models(caller: Clinician, …)
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from emrobust.errors import DeniedError
from emrobust.serve.caller import Caller
from emrobust.serve.problem import RefusedError
from emrobust.serve.settings import Limits
from emrobust.serve.sign_in import TokenReader
from emrobust.serve.store import keys
from emrobust.serve.store.keys import START, ApiKey, Doorkeeper, Role

__all__ = ["Administrator", "Caller", "Clinician", "Gate", "Reviewer"]

_MOST_BUCKETS = 10_000
_REREAD_SECONDS = 0.2  # between two looks for keys that are new
_WRONG_OFTEN = "too many wrong keys came from this address"
_REFUSED_OFTEN = "this key came too often from this address with a wrong secret, or after its end"


@final
class Buckets:
    """Token buckets: so many requests at once, and so many a second in the long run."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> float:
        """Take one from a name's bucket; seconds until there is one, 0 where there was."""
        now = time.monotonic()
        level = self._level(name, now)
        if level < 1.0:
            return (1.0 - level) / self._rate
        if len(self._levels) >= _MOST_BUCKETS:
            self._forget(now)
        self._levels[name] = (level - 1.0, now)
        return 0.0

    def give(self, name: str) -> None:
        """Put one back into a name's bucket."""
        now = time.monotonic()
        self._levels[name] = (min(self._burst, self._level(name, now) + 1.0), now)

    def _level(self, name: str, now: float) -> float:
        level, at = self._levels.get(name, (float(self._burst), now))
        return min(self._burst, level + (now - at) * self._rate)

    def _forget(self, now: float) -> None:
        """Full buckets are as good as none."""
        full = self._burst / self._rate
        kept = {name: found for name, found in self._levels.items() if now - found[1] < full}
        self._levels = kept if len(kept) < _MOST_BUCKETS else {}


@final
class Prefixes:
    """Which keys there are, by their prefixes.

    They are kept in memory, since a key is never taken out of the store. A prefix that is not among
    them may be a new key's, so they are read again: once for all who wait, a few times a second at
    most. So a flood of made-up keys costs the store no more than one of them does.

    Args:
        read: reads all of them.
    """

    def __init__(self, read: Callable[[], Awaitable[frozenset[str]]]) -> None:
        self._read = read
        self._known: frozenset[str] = frozenset()
        self._at = -math.inf
        self._reading = asyncio.Lock()

    async def knows(self, prefix: str) -> bool:
        """Whether the store has a key with this prefix.

        Raises:
            UnavailableError: the store is away.
        """
        asked = time.monotonic()
        if prefix not in self._known:
            async with self._reading:
                if self._at <= asked:  # else somebody has read them meanwhile
                    await asyncio.sleep(self._at + _REREAD_SECONDS - time.monotonic())
                    began = time.monotonic()
                    self._known = await self._read()
                    self._at = began
        return prefix in self._known


@final
class Gate:
    """Tells who a caller is, and how much they may ask.

    A whole ward, an integration engine or a proxy is one address, so nobody may be refused for what
    others at the address send. A wrong key, or token of the sign-in, is counted after it was found
    wrong: that costs less than the request did. Only a secret that is to be held against a key's
    hash is counted before, since that takes the processor for a while; it is counted by address and
    key, and it is the owner of this key alone who waits for whoever else sends it there.

    Args:
        doorkeeper: knows the API keys.
        limits: of requests, and of wrong keys.
        sign_in: reads the tokens of the hospital's sign-in; None: API keys alone.
    """

    def __init__(
        self, doorkeeper: Doorkeeper, limits: Limits, sign_in: TokenReader | None = None
    ) -> None:
        self._doorkeeper = doorkeeper
        self._sign_in = sign_in
        self._requests = Buckets(limits.rate, limits.burst)
        self._failures = Buckets(limits.failures / 60, limits.failures)
        # argon2 takes the processor for a while, so it has one thread and no more.
        self._pool = ThreadPoolExecutor(1, "emrobust-keys")
        self._prefixes = Prefixes(self._read_prefixes)
        self._asking: dict[str, asyncio.Future[ApiKey]] = {}

    async def admit(self, token: str | None, address: str) -> Caller:
        """The caller with this key.

        Args:
            token: as it was sent.
            address: from where; wrong keys are counted by it, see `Gate`.

        Raises:
            DeniedError: no key, or one that is unknown, expired or revoked.
            RefusedError: too many requests, or too many wrong keys (429).
            UnavailableError: the store is away.
        """
        if not token:
            raise DeniedError(
                "a key is needed", "Send it: Authorization: Bearer KEY. Ask an administrator."
            )
        caller = await self._caller(token, address)
        self._charge(caller)
        return caller

    def admit_by(self, read: Callable[[], Caller], address: str) -> Caller:
        """`admit`, where something else than a key or the sign-in tells who the caller is.

        Raises:
            DeniedError: by ``read``.
            RefusedError: too many requests, or too many refused ones (429).
        """
        try:
            caller = read()
        except DeniedError:
            self._count_wrong(address)
            raise
        self._charge(caller)
        return caller

    def _charge(self, caller: Caller) -> None:
        if wait := self._requests.take(caller.actor):
            raise _too_many("this key asks too often", wait)

    async def _caller(self, token: str, address: str) -> Caller:
        known = self._doorkeeper.recall(token)
        if known is not None:
            return _of_key(known)
        try:
            if self._sign_in is not None and not token.startswith(f"{START}_"):
                return await self._sign_in.admit(token)
            prefix, _ = keys.split(token)
            if not await self._prefixes.knows(prefix):
                raise keys.unknown()
        except DeniedError:
            self._count_wrong(address)
            raise
        return _of_key(await self._look_up(token, f"{address} {prefix}"))

    def _count_wrong(self, address: str) -> None:
        """Count a wrong key; who sends many is told so in place of what is wrong."""
        if wait := self._failures.take(address):
            raise _too_many(_WRONG_OFTEN, wait) from None

    async def _look_up(self, token: str, place: str) -> ApiKey:
        """Ask the store, once for all requests with the same key that wait for it.

        A secret counts as wrong until it is known to be right, or many could be tried at once.
        """
        running = self._asking.get(token)
        if running is None:
            if wait := self._failures.take(place):
                raise _too_many(_REFUSED_OFTEN, wait)
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._pool, self._doorkeeper.admit, token)
            self._asking[token] = running
            running.add_done_callback(lambda done: self._settle(token, place, done))
        return await asyncio.shield(running)

    def _settle(self, token: str, place: str, done: asyncio.Future[ApiKey]) -> None:
        del self._asking[token]
        # Asked for here, since nobody may be left who does.
        if done.cancelled() or not isinstance(done.exception(), DeniedError):
            self._failures.give(place)

    async def _read_prefixes(self) -> frozenset[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._doorkeeper.prefixes)

    def close(self) -> None:
        """Stop the thread."""
        self._pool.shutdown()


def _of_key(key: ApiKey) -> Caller:
    return Caller(key.prefix, key.role, key.name)


def _too_many(what: str, wait: float) -> RefusedError:
    return RefusedError(
        429, "too_many_requests", what, f"Wait {math.ceil(wait)} s and send fewer.", retry=wait
    )


BEARER = HTTPBearer(auto_error=False, description="An API key, or a token of the sign-in")
HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key")


async def ask(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
    header: Annotated[str | None, Security(HEADER)],
) -> Caller:
    """The caller of a request, for ``Depends``."""
    gate: Gate = request.app.state.service.gate
    token = bearer.credentials if bearer is not None else header
    address = request.client.host if request.client else ""
    caller = await gate.admit(token, address)
    request.state.actor = caller.actor  # for the access log
    return caller


def _require(role: Role) -> Callable[[Caller], Awaitable[Caller]]:
    async def check(caller: Annotated[Caller, Depends(ask)]) -> Caller:
        if not caller.allows(role):
            raise RefusedError(
                403,
                "role",
                f"this needs the role {role}, and the key has {caller.role}",
                "Ask an administrator for a key with that role.",
            )
        return caller

    return check


clinician = _require("clinician")
reviewer = _require("reviewer")
administrator = _require("administrator")
Clinician = Annotated[Caller, Depends(clinician)]
Reviewer = Annotated[Caller, Depends(reviewer)]
Administrator = Annotated[Caller, Depends(administrator)]

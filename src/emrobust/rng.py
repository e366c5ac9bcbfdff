"""One seed, many named independent generators; nobody touches the global ones.

A generator is a pure function of the seed and its name, so a step of a loop can be
repeated (after a crash, in another process) without storing a generator's state.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from itertools import chain, count, repeat
from operator import mul
from random import Random

import numpy as np

_WORDS = struct.Struct("<16I")  # of one digest


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called ``names``, independent of every other name."""
    digest = hashlib.blake2b(_key(seed, *names), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _key(seed: int, *names: str | int) -> bytes:
    return "\x1f".join(map(str, (seed, *names))).encode()


class Draws(Random):
    """`random.Random` for very many short streams: a name's first numbers cost one hash.

    Seeding Python's own generator costs more than perturbing a short text. One instance serves
    one stream after the other; each begins with `restart`, and no state goes over.
    """

    def __init__(self) -> None:
        super().__init__(0)
        self.restart(0)

    def restart(self, seed: int, *names: str | int) -> None:
        """Begin the stream called ``names``: blake2b of the name, then of the name with a count."""
        # An attribute, so that a draw is a step of an iterator written in C.
        self.random = chain.from_iterable(_blocks(_key(seed, *names))).__next__  # type: ignore[method-assign]  # see above
        self.gauss_next = None

    def random(self) -> float:
        """The next number of [0, 1), of 32 bits; `restart` puts the stream's own in its place."""
        raise NotImplementedError

    def getrandbits(self, k: int, /) -> int:
        """An integer of ``k`` bits from the same stream."""
        words = -(-k // 32)
        drawn = 0
        for _ in range(words):
            drawn = drawn << 32 | int(self.random() * 2**32)
        return drawn >> (words * 32 - k)


def _blocks(key: bytes) -> Iterator[Iterator[float]]:
    for number in count():
        digest = hashlib.blake2b(b"%b\x1f%d" % (key, number)).digest()
        yield map(mul, _WORDS.unpack(digest), repeat(2.0**-32))


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator for the stream called ``names``."""
    return np.random.default_rng(derive(seed, *names))

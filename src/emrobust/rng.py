"""One seed, many named independent generators; nobody touches the global ones.

A generator is a pure function of the seed and its name, so a step of a loop can be
repeated (after a crash, in another process) without storing a generator's state.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called ``names``, independent of every other name."""
    key = "\x1f".join(str(part) for part in (seed, *names))
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator for the stream called ``names``."""
    return np.random.default_rng(derive(seed, *names))

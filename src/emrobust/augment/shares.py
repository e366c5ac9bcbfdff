"""How often each component is used, and for which records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from emrobust import rng
from emrobust.errors import ConfigError

# Components that give another text, in the order of their numbers; MixUp takes whole batches.
OF_TEXTS = ("rules", "back_translation", "masked_lm")
COMPONENTS = (*OF_TEXTS, "mixup")
PLAIN = -1


def share_out(
    wanted: Mapping[str, float], missing: Mapping[str, str], *, redistribute: bool
) -> dict[str, float]:
    """The share of each component, 1 in all.

    Args:
        wanted: component → share; they need not add up to anything.
        missing: component that cannot run here → why; a share of 0 makes it no matter.
        redistribute: give the shares of the missing to the others, in proportion.

    Raises:
        ConfigError: a component is missing and its share is not to be redistributed; no share
            is left.
    """
    needed = {name: why for name, why in missing.items() if wanted[name] > 0}
    if needed and not redistribute:
        reasons = "\n".join(f"  - `augment.{name}`: {why}." for name, why in needed.items())
        raise ConfigError(
            f"{len(needed)} component(s) of [augment] cannot run here:\n{reasons}",
            "Give what they need, set their shares to 0, or set `augment.redistribute = true`.",
        )
    left = {name: 0.0 if name in needed else wanted[name] for name in COMPONENTS}
    total = sum(left.values())
    if not total > 0:
        raise ConfigError(
            "[augment] has a probability and no component with a share that can run here",
            "Give `augment.rules`, or set `augment.probability = 0`.",
        )
    return {name: share / total for name, share in left.items()}


def probabilities(targets: np.ndarray, probability: float, rare: float) -> np.ndarray:
    """How likely each record is augmented in an epoch, float64 [records].

    p = min(1, probability · (m / n)^rare), where n counts the records with the rarest label that
    a record has, and m is the median of n over the records: so half of them are augmented more
    often than ``probability`` says, half less often. A record without labels keeps it.

    Args:
        targets: 0 and 1 [records, labels].
        probability: of all.
        rare: 0: all alike; 1: by inverse frequency.
    """
    has = np.asarray(targets, dtype=bool)
    counted = has.sum(0, dtype=np.float64)
    rarest = np.where(has, counted, np.inf).min(1, initial=np.inf)
    known = np.isfinite(rarest)
    if not rare or not known.any():
        return np.full(len(has), probability)
    weight = np.ones(len(has))
    weight[known] = (np.median(rarest[known]) / rarest[known]) ** rare
    found: np.ndarray = np.minimum(1.0, probability * weight)
    return found


class Draws(NamedTuple):
    """What becomes of each record in an epoch, unless its batch is mixed.

    Attributes:
        component: number in `OF_TEXTS`, or `PLAIN`, int8 [records].
        variant: a number for components that have several answers, int64 [records].
    """

    component: np.ndarray
    variant: np.ndarray


class Lots:
    """Draws components: functions of the seed, the epoch and the record (or the batch's number).

    A batch is mixed with probability x = p̄ · share of MixUp, p̄ being the mean of the records'
    probabilities; a record of any other batch gets another text with probability
    p · (1 − share of MixUp) / (1 − x), so that over all batches each component has its share.

    Args:
        shares: from `share_out`.
        chances: from `probabilities`.
        variants: how many answers a component may have.
        seed: of the run.
    """

    def __init__(
        self, shares: Mapping[str, float], chances: np.ndarray, variants: int, seed: int
    ) -> None:
        mixup, mean = shares["mixup"], float(chances.mean()) if len(chances) else 0.0
        self.seed = seed
        self.variants = variants
        self.mixed = mean * mixup
        left = 1 - mixup
        self._chances = chances * left / (1 - self.mixed) if left else np.zeros(len(chances))
        edges = np.cumsum([shares[name] for name in OF_TEXTS])
        self._edges = edges / edges[-1] if edges[-1] else edges

    def draw(self, epoch: int) -> Draws:
        """For all records."""
        random = rng.generator(self.seed, "augment", epoch)
        rows = len(self._chances)
        chosen = random.random(rows) < self._chances
        which = np.searchsorted(self._edges, random.random(rows), side="right")
        component = np.where(chosen, np.minimum(which, len(OF_TEXTS) - 1), PLAIN)
        return Draws(component.astype(np.int8), random.integers(self.variants, size=rows))

    def mixes(self, number: int) -> bool:
        """Whether the batch of this number is mixed."""
        return rng.derive(self.seed, "augment", "mixup", number) < self.mixed * 2**63

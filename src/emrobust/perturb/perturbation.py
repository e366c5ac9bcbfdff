"""What every perturbation is: a proposal of edits, which the guards then judge."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import log, log1p
from random import Random
from typing import ClassVar, Literal

from emrobust.errors import ConfigError
from emrobust.perturb.edits import Edit

Language = Literal["zh", "en", "both"]


class Perturbation(ABC):
    """One kind of edit. A component is one file with ``@register("perturbation")``.

    Its settings are keyword-only arguments of its constructor. It proposes edits freely:
    `emrobust.perturb.perturb` refuses those that would change a guarded fact.

    Attributes:
        source: the paper or the practice it comes from, one line.
        language: the language of the texts it is made for.
        rewrites: whether its edits may put a guarded fact into an equivalent writing
            (血压→BP, 2天→2d, ，→,); each is then checked for equal facts. Where False, an
            edit that touches a guarded span is refused at once, which is quicker.
        shares: whether a part of what it writes is the same for every ``use``, held out or not.
    """

    source: ClassVar[str]
    language: ClassVar[Language]
    rewrites: ClassVar[bool] = False
    shares: ClassVar[bool] = False

    @abstractmethod
    def propose(self, text: str, random: Random) -> list[Edit]:
        """Edits of ``text``, a function of the text and the generator only."""


def check_rate(rate: float, name: str = "rate", *, least: float = 0.0, most: float = 1.0) -> float:
    """``rate`` itself, if it is inside its range.

    Raises:
        ConfigError: it is not a number between ``least`` and ``most``.
    """
    if not least <= rate <= most:
        raise ConfigError(
            f"`perturbation.{name}` is {rate!r}, which is not between {least:g} and {most:g}.",
            "Give the share of the places that are changed, such as 0.1.",
        )
    return float(rate)


class Gaps:
    """Picks each of a row of places with the same probability, by geometric gaps.

    The cost grows with the places picked, not with the places there are.
    """

    __slots__ = ("_scale", "rate")

    def __init__(self, rate: float) -> None:
        self.rate = check_rate(rate)
        # Below one in a billion nothing is ever picked.
        self._scale = 1 / log1p(-rate) if 1e-9 < rate < 1 else 0.0

    def pick(self, places: int, random: Random) -> list[int]:
        """Ascending numbers from ``range(places)``, each with probability ``rate``."""
        if not self._scale:
            return list(range(places)) if self.rate == 1 else []
        picked = []
        draw, scale = random.random, self._scale
        at = int(log(1.0 - draw()) * scale)
        while at < places:
            picked.append(at)
            at += 1 + int(log(1.0 - draw()) * scale)
        return picked

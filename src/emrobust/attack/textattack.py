"""TextAttack's English recipes on our models, for comparison with its published attacks.

TextAttack is no dependency: it is used where the user has installed it. Its goal functions take
one label a text and probabilities that sum to 1, so the adapter is for single-label models; of a
multi-label model each label can be attacked by itself (``label``). It knows no guard: of what it
finds, only `permitted` results keep what carries the label.

    from textattack.attack_recipes import TextFoolerJin2019
    attack = TextFoolerJin2019.build(textattack.wrap(victim))
    result = attack.attack(text, victim.names.index(label))
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from emrobust import perturb
from emrobust.attack.goal import Floats
from emrobust.attack.victim import Victim
from emrobust.errors import ConfigError
from emrobust.perturb import Edit

_PIECE = re.compile(r"\s+|\S+")


def wrap(victim: Victim, label: str | None = None) -> Any:
    """A ``ModelWrapper`` of TextAttack around a victim.

    Args:
        victim: the model.
        label: of a multi-label model: classes are then 0 (not given) and 1 (given), and one half
            is moved to the label's threshold.

    Raises:
        ConfigError: TextAttack is not installed, or a multi-label model comes without a label
            that it knows.
    """
    try:
        wrappers = importlib.import_module("textattack.models.wrappers")
    except ImportError as error:
        raise ConfigError(
            f"TextAttack cannot be imported ({error.name} is missing)",
            "Install it in an environment of its own; docs/attack.md says how.",
        ) from None
    answer = _Answer(victim, label)

    class Wrapped(wrappers.ModelWrapper):  # type: ignore[misc, name-defined]  # it has no types
        """A victim, as TextAttack calls it."""

        model = victim.model

        def __call__(self, text_input_list: Sequence[str], **_: Any) -> Floats:
            """Probabilities [texts, classes] that sum to 1."""
            return answer(list(text_input_list))

    return Wrapped()


class _Answer:
    """Probabilities that sum to 1 as exactly as TextAttack asks (else it takes a softmax)."""

    def __init__(self, victim: Victim, label: str | None) -> None:
        if (label is None) == (victim.task == "multi") or (
            label is not None and label not in victim.names
        ):
            raise ConfigError(
                "TextAttack attacks one label a text",
                "Name one of the model's labels for a multi-label model, and none otherwise.",
            )
        self.victim = victim
        self.column = None if label is None else victim.names.index(label)

    def __call__(self, texts: list[str]) -> Floats:
        given = self.victim.exact(texts)
        if self.column is None or self.victim.thresholds is None:
            scaled: Floats = given / given.sum(axis=1, keepdims=True)
            return scaled
        cut = self.victim.thresholds[self.column]
        chance = np.interp(given[:, self.column], [0.0, cut, 1.0], [0.0, 0.5, 1.0])
        return np.stack([1.0 - chance, chance], axis=1)


def edits_between(before: str, after: str) -> tuple[Edit, ...]:
    """The edits that turn one text into the other, word by word."""
    old, new = _PIECE.findall(before), _PIECE.findall(after)
    places = list(accumulate(map(len, old), initial=0))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return tuple(
        Edit(places[first], places[last], "".join(new[begin:end]))
        for tag, first, last, begin, end in matcher.get_opcodes()
        if tag != "equal"
    )


def permitted(before: str, after: str) -> bool:
    """Whether the guards allow what an attack has made of a text."""
    return perturb.permits(before, edits_between(before, after))

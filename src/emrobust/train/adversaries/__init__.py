"""Adversaries: steps that train on the worst embeddings near a batch's own, one a file.

Chosen by ``[train] adversary``; `emrobust list adversaries` names them with their sources. They
perturb word embeddings before positions and LayerNorm, never on padding, a norm a text; δ is kept
in single precision whatever the loop computes in. See `passes` for what all of them share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from emrobust import registry
from emrobust.config import Component
from emrobust.errors import ConfigError
from emrobust.train.adversaries.adversary import Adversary

_NONE = "none"


def choose(given: Component | None, usual: str | None) -> Component | None:
    """The adversary that is trained with; None for plain training.

    Args:
        given: what the project file names; absent: it says nothing.
        usual: name of the model's own (`Network.usual_adversary`).

    Raises:
        ConfigError: settings of plain training.
    """
    if given is None:
        return None if usual is None else Component(name=usual)
    if given.name != _NONE:
        return given
    if settings := given.settings():
        raise ConfigError(
            f"`train.adversary`: `{_NONE}` is plain training and has no `{next(iter(settings))}`",
            f'Name an adversary, or write adversary = "{_NONE}" alone.',
        )
    return None


def make(given: Mapping[str, Any]) -> Adversary:
    """The adversary of a project file.

    Args:
        given: its registered name under ``name``, and its own settings.

    Raises:
        ConfigError: no such adversary, or a setting out of range.
    """
    name, settings = check(given)
    return cast("type[Adversary]", registry.get("adversary", name))(**settings)


def check(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and complete settings.

    Raises:
        ConfigError: as `make` does.
    """
    own = dict(given)
    name = own.pop("name")
    return name, registry.settings("adversary", name, own)


__all__ = ["Adversary", "check", "choose", "make"]

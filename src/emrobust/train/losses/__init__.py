"""What training minimises: one loss a file, chosen by ``[train] loss``.

A loss takes logits and targets [rows, labels] and gives a scalar; targets may lie between 0 and
1 (label smoothing, MixUp). Whatever a loss knows of the labels' frequencies it has from the
training targets. Means are over rows and labels, so that a loss is as large in a batch of 8 as
in one of 64, and next to the divergences of an adversary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from emrobust import registry
from emrobust.errors import ConfigError
from emrobust.train.losses.loss import Loss, Smoothed, Task

DEFAULTS: dict[Task, str] = {"multi": "bce", "single": "cross_entropy"}


def make(
    task: Task,
    smoothing: float = 0.0,
    given: Mapping[str, Any] | None = None,
    targets: np.ndarray | None = None,
) -> Loss:
    """The loss of a task.

    Args:
        task: ``multi`` (any labels a row) or ``single`` (one).
        smoothing: of the targets, whatever the loss; see `loss.smooth`.
        given: the registered name under ``name``, and the loss's own settings; absent: binary
            cross-entropy for ``multi``, cross-entropy for ``single``.
        targets: 0 and 1 [rows, labels] of the training rows, for losses that weigh by frequency.

    Raises:
        ConfigError: no such loss, wrong settings, a loss for the other task, or one that takes
            no smoothing.
    """
    name, settings = check(task, given)
    component = cast("type[Loss]", registry.get("loss", name))
    loss = component(task, targets, **settings)
    if not smoothing:
        return loss
    if loss.refuses_smoothing:
        raise ConfigError(
            f"the loss `{name}` takes no `train.label_smoothing`: {loss.refuses_smoothing}",
            "Give only one of them.",
        )
    return Smoothed(loss, smoothing)


def check(task: Task, given: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """Name and complete settings, without the targets that some losses need.

    Raises:
        ConfigError: as `make` does.
    """
    own = dict(given or {"name": DEFAULTS[task]})
    name = own.pop("name")
    settings = registry.settings("loss", name, own)
    component = cast("type[Loss]", registry.get("loss", name))
    if task not in component.tasks:
        others = [n for n in registry.names("loss") if task in registry.get("loss", n).tasks]  # type: ignore[attr-defined]  # every loss has tasks
        raise ConfigError(
            f"the loss `{name}` is not for {task}-label targets",
            f"Losses that are: {', '.join(others)}.",
        )
    return name, settings


__all__ = ["DEFAULTS", "Loss", "Task", "check", "make"]

"""What a search may change in a project, and how good a setting is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from emrobust import config, registry, rng
from emrobust.config import Project
from emrobust.encoder import checkpoint
from emrobust.errors import ConfigError
from emrobust.models.network import Network
from emrobust.models.thresholds import macro_f1, tune
from emrobust.models.transformer import usual_rate
from emrobust.train import adversaries, losses
from emrobust.train.estimators import adversary

# A learning rate may be so many times the project's own, or a part of it; likewise ε.
_RATES = 5.0
_RADII = 4.0
_LEAST_ALPHA = 0.1
Values = Mapping[str, Any]


class Setting(NamedTuple):
    """One dimension of the space.

    Attributes:
        key: in the project file.
        kind: how it is drawn.
        own: the project's value; the first trial has it.
        low, high: bounds of a number.
        choices: instead of bounds.
    """

    key: str
    kind: Literal["log", "linear", "choice"]
    own: Any
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()


def find_space(project: Project) -> list[Setting]:
    """The settings that are searched; ``docs/project-file.md`` has them in a table.

    Raises:
        ConfigError: the model is no network; the project is cross-validated.
    """
    component = registry.get("model", project.model.name)
    if not issubclass(component, Network):
        raise ConfigError(
            f"a search tunes the training of networks, and `{project.model.name}` is none",
            "Set `model.name` to `textcnn`, `bilstm` or `transformer`.",
        )
    if project.split.folds:
        raise ConfigError(
            "a search scores on one validation split, and the project has `split.folds`",
            "Leave `split.folds` out while searching, then train the best settings with it.",
        )
    rate = project.train.learning_rate or _usual_rate(project, component)
    space = [Setting("train.learning_rate", "log", rate, rate / _RATES, min(rate * _RATES, 1.0))]
    space.append(_losses(project))
    if (chosen := adversary(project)) is not None:
        space += _of_adversary(chosen)
    if project.labels.task == "multi":
        kinds = ("global", "label")
        space.append(Setting("train.thresholds", "choice", project.train.thresholds, choices=kinds))
    return space


def _usual_rate(project: Project, component: type[Network]) -> float:
    """What the network learns at where the project says nothing."""
    if project.model.name != "transformer":
        return component.default_learning_rate
    given = registry.settings("model", "transformer", project.model.settings())
    encoder = checkpoint.read_config(checkpoint.locate(given["checkpoint"]))
    return usual_rate(given["checkpoint"], encoder.hidden_size)


def _losses(project: Project) -> Setting:
    task = project.labels.task
    fitting = tuple(
        name
        for name in registry.names("loss")
        if task in (loss := cast("type[losses.Loss]", registry.get("loss", name))).tasks
        and not (loss.refuses_smoothing and project.train.label_smoothing)
    )
    own = project.train.loss.name if project.train.loss else losses.DEFAULTS[task]
    return Setting("train.loss", "choice", own, choices=fitting)


def _of_adversary(given: config.Component) -> list[Setting]:
    _, settings = adversaries.check(given.model_dump())
    found = []
    if "epsilon" in settings:
        own = float(settings["epsilon"])
        found.append(
            Setting("train.adversary.epsilon", "log", own, own / _RADII, min(own * _RADII, 100.0))
        )
    if "alpha" in settings:
        own = float(settings["alpha"])
        found.append(Setting("train.adversary.alpha", "linear", own, min(own, _LEAST_ALPHA), 1.0))
    return found


def change(project: Project, values: Values) -> Project:
    """The project with these values; a loss that is not its own has its default settings."""
    train = project.train.model_dump()
    for key, value in values.items():
        name = key.removeprefix("train.")
        if name == "loss":
            if not (train["loss"] and train["loss"]["name"] == value):
                train["loss"] = {"name": value}
        elif name.startswith("adversary."):
            named = train["adversary"] or cast("config.Component", adversary(project)).model_dump()
            train["adversary"] = {**named, name.removeprefix("adversary."): value}
        else:
            train[name] = value
    return project.model_copy(update={"train": config.Train.model_validate(train)})


def score(project: Project, truth: np.ndarray, chances: np.ndarray) -> float:
    """Macro-F1 on validation rows, thresholds tuned on one half of them and used on the other.

    Tuned and scored on the same rows, a threshold a label would always seem the better one.

    Args:
        project: its task, seed and kind of thresholds.
        truth: 0 and 1 [rows, labels].
        chances: probabilities [rows, labels].
    """
    if project.labels.task == "single":
        predicted = np.eye(truth.shape[1], dtype=bool)[chances.argmax(1)]
        return macro_f1(truth, predicted)
    order = rng.generator(project.seed, "search", "halves").permutation(len(truth))
    halves: Sequence[np.ndarray] = np.array_split(order, 2)
    predicted = np.zeros(truth.shape, dtype=bool)
    for known, asked in (halves, halves[::-1]):
        tuned = tune(truth[known], chances[known], project.train.thresholds)
        predicted[asked] = chances[asked] >= tuned
    return macro_f1(truth, predicted)

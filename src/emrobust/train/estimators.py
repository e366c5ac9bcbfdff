"""From a project file to an estimator, and from a folder back to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from emrobust import registry, runs
from emrobust.augment.rules import names_for as perturbations_for
from emrobust.augment.shares import COMPONENTS, share_out
from emrobust.augment.toolbox import check_components
from emrobust.config import Component, Project
from emrobust.encoder import embedded
from emrobust.encoder.scoring import CharacterScorer
from emrobust.errors import ConfigError, RunError
from emrobust.lexicon.table import has_tables
from emrobust.models.estimator import FILE, FORMAT, TextClassifier
from emrobust.models.network import Network
from emrobust.normalize import Normalizer, names_for
from emrobust.perturb import terms
from emrobust.train import adversaries, losses
from emrobust.train.classifier import NeuralClassifier

# What a network's folder says; every other estimator's says its registered name.
_NEURAL = NeuralClassifier.kind


def build(project: Project, names: Sequence[str]) -> TextClassifier:
    """The unfitted estimator of a project.

    Args:
        project: its ``[model]``, ``[train]``, task, language and seed count.
        names: the label set; probabilities have its columns in this order.

    Raises:
        ConfigError: no such model, loss or adversary, wrong settings of it, or a Chinese encoder
            for English texts.
    """
    name = project.model.name
    component = registry.get("model", name)
    _check_training(project, neural=issubclass(component, Network))
    if name == "transformer" and project.language == "en":
        _check_checkpoint(project.model.settings())
    checked = _model_settings(project)
    common: dict[str, Any] = {
        "task": project.labels.task,
        "seed": project.seed,
        "classes": list(names),
        "normalizer": _normalizer(project),
    }
    if issubclass(component, Network):
        settings = {**project.train.model_dump(), "augment": _augmentation(project)}
        return NeuralClassifier(name, network_settings=checked, **common, **settings)
    make = cast("Callable[..., TextClassifier]", component)
    return make(**common, thresholds=project.train.thresholds, **checked)


def components(project: Project) -> dict[str, dict[str, Any]]:
    """The model, loss and adversary that are trained, each with its name and all its settings.

    The project file names what differs from the defaults; these change from version to version.

    Raises:
        ConfigError: as `build` does.
    """
    found = {"model": {"name": project.model.name, **_model_settings(project)}}
    if not issubclass(registry.get("model", project.model.name), Network):
        return found
    train = project.train
    given = train.loss.model_dump() if train.loss else None
    loss, values = losses.check(project.labels.task, given)
    found["train.loss"] = {"name": loss, **values}
    if (chosen := adversary(project)) is not None:
        name, values = adversaries.check(chosen.model_dump())
        found["train.adversary"] = {"name": name, **values}
    return found


def adversary(project: Project) -> Component | None:
    """What a project's training is made harder by; None for plain training.

    Raises:
        ConfigError: wrong settings of the model.
    """
    model = registry.get("model", project.model.name)
    usual = None
    if issubclass(model, Network):
        usual = model.usual_adversary(project.labels.task, _model_settings(project))
    return adversaries.choose(project.train.adversary, usual)


def _model_settings(project: Project) -> dict[str, Any]:
    values = project.model.settings()
    if project.model.name == "tfidf" and project.language == "en":
        values = {"analyzer": "word", "longest": 2, **values}
    return registry.settings("model", project.model.name, values)


def _check_checkpoint(values: Mapping[str, Any]) -> None:
    if values.get("checkpoint", embedded.NAME) == embedded.NAME:
        raise ConfigError(
            f"`{embedded.NAME}` reads Chinese, and the project's texts are English",
            "Name an English checkpoint as `model.checkpoint`, or set `model.name` to `tfidf` or"
            " `textcnn`.",
        )


def _augmentation(project: Project) -> dict[str, Any] | None:
    """The project's ``[augment]`` as plain values; None where it is off."""
    given = project.augment
    if not given.probability:
        return None
    names = [{"name": name} for name in perturbations_for(project.language)]
    values = given.model_dump(mode="json")
    values["perturbations"] = values["perturbations"] or names
    return values


def _normalizer(project: Project) -> Normalizer | None:
    """The normaliser of a project, with the steps that are for its language."""
    given = project.normalize
    wanted = given.model_dump(exclude={"tables", "typos_checkpoint"})
    steps = names_for(project.language, wanted)
    if "terms" in steps and given.tables is not None and has_tables(given.tables):
        terms.load(given.tables)  # the guards judge its rows
    scorer = CharacterScorer(given.typos_checkpoint) if "typos" in steps else None
    return Normalizer(steps, given.tables, scorer) if steps else None


def _check_training(project: Project, *, neural: bool) -> None:
    """Find a wrong loss or adversary before anything long begins."""
    train, name = project.train, project.model.name
    given = adversaries.choose(train.adversary, None)
    if given is not None and not neural:
        raise ConfigError(
            f"`train.adversary` perturbs word embeddings, and the model `{name}` trains none",
            "Leave it out, or set `model.name` to `textcnn`, `bilstm` or `transformer`.",
        )
    if train.loss is not None and not neural:
        raise ConfigError(
            f"`train.loss` is for neural models; the model `{name}` has its own loss",
            "Leave it out, or set `model.name` to `textcnn`, `bilstm` or `transformer`.",
        )
    if given is not None:
        adversaries.check(given.model_dump())
    _check_augmentation(project, neural=neural)
    losses.check(project.labels.task, train.loss.model_dump() if train.loss else None)


def _check_augmentation(project: Project, *, neural: bool) -> None:
    given = project.augment
    if not given.probability:
        return
    if not neural:
        raise ConfigError(
            f"[augment] changes texts from epoch to epoch, and the model `{project.model.name}`"
            " has no epochs",
            "Set `augment.probability = 0`, or `model.name` to `textcnn`, `bilstm` or"
            " `transformer`.",
        )
    shares = {name: float(getattr(given, name)) for name in COMPONENTS}
    missing = dict(check_components(given, project.train.batch_size, project.language))
    share_out(shares, missing, redistribute=given.redistribute)


def load(folder: Path) -> TextClassifier:
    """The fitted estimator that `TextClassifier.save` wrote.

    Raises:
        RunError: no model lies there, it is damaged, or a newer version wrote it.
    """
    facts = runs.read_json(folder / FILE)
    kind = facts.get("kind")
    known = kind == _NEURAL or kind in registry.names("model")
    if facts.get("format") != FORMAT or not known:
        raise RunError(
            f"{folder / FILE} is of format {facts.get('format')}, this version reads {FORMAT}",
            "Update emrobust, or train the model again.",
        )
    component = NeuralClassifier if kind == _NEURAL else registry.get("model", kind)
    return cast("type[TextClassifier]", component).load(folder)

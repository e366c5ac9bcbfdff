"""From a project file to an estimator, and from a folder back to one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emrobust import registry, runs
from emrobust.config import Project
from emrobust.errors import RunError
from emrobust.models.estimator import FILE, FORMAT, TextClassifier
from emrobust.models.network import Network
from emrobust.models.tfidf import Tfidf
from emrobust.train.classifier import NeuralClassifier

_KINDS: dict[str, type[TextClassifier]] = {"tfidf": Tfidf, "neural": NeuralClassifier}


def build(project: Project, names: Sequence[str]) -> Tfidf | NeuralClassifier:
    """The unfitted estimator of a project.

    Args:
        project: its ``[model]``, ``[train]``, task, language and seed count.
        names: the label set; probabilities have its columns in this order.

    Raises:
        ConfigError: no such model, or wrong settings of it.
    """
    name, values = project.model.name, project.model.settings()
    component = registry.get("model", name)
    if name == "tfidf" and project.language == "en":
        values = {"analyzer": "word", "longest": 2, **values}
    checked = registry.settings("model", name, values)
    common: dict[str, Any] = {
        "task": project.labels.task,
        "seed": project.seed,
        "classes": list(names),
    }
    if issubclass(component, Network):
        settings = project.train.model_dump()
        return NeuralClassifier(name, network_settings=checked, **common, **settings)
    return Tfidf(**common, thresholds=project.train.thresholds, **checked)


def load(folder: Path) -> TextClassifier:
    """The fitted estimator that `TextClassifier.save` wrote.

    Raises:
        RunError: no model lies there, it is damaged, or a newer version wrote it.
    """
    facts = runs.read_json(folder / FILE)
    if facts.get("format") != FORMAT or facts.get("kind") not in _KINDS:
        raise RunError(
            f"{folder / FILE} is of format {facts.get('format')}, this version reads {FORMAT}",
            "Update emrobust, or train the model again.",
        )
    return _KINDS[facts["kind"]].load(folder)

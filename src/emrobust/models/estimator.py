"""What every classifier of texts shares: scikit-learn's conventions, targets, decisions, folders.

Single-label targets are one class a text (1-D); multi-label targets are an indicator matrix
[texts, labels] of 0 and 1. `predict` answers in the form that `fit` was given.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from emrobust import runs
from emrobust.errors import ModelError
from emrobust.models import thresholds
from emrobust.normalize import Normalizer, Scorer

Task = Literal["auto", "multi", "single"]
FILE = "estimator.json"
NORMALIZER = "normalizer"
FORMAT = 1


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """Base of the estimators.

    ``normalizer`` rewrites every text that the model reads, in training and prediction alike, and
    is saved with the model; what is stored about records stays as it was written.
    ``classes`` fixes the label set and the order of its columns; without it, it is what the
    training targets hold. After `fit`: ``classes_`` (class names, or column numbers), ``task_``
    (``multi`` or ``single``), ``history_`` (one row an epoch) and ``thresholds_`` (float64
    [labels]; None for single-label).
    """

    kind: ClassVar[str]
    task: Task
    classes: Sequence[str] | None
    normalizer: Normalizer | None = None
    classes_: np.ndarray
    history_: list[dict[str, float | None]]
    task_: Literal["multi", "single"]
    thresholds_: np.ndarray | None

    @abstractmethod
    def fit(
        self,
        X: Sequence[str],  # noqa: N803  sklearn's name
        y: Any,
        validation: tuple[Sequence[str], Any] | None = None,
        checkpoints: Path | None = None,
    ) -> Self:
        """Learn from texts and targets.

        Args:
            X: texts.
            y: classes [texts], or 0 and 1 [texts, labels].
            validation: texts and targets for early stopping and thresholds. Without them every
                epoch is run and multi-label thresholds are one half.
            checkpoints: folder; where it holds a training of the same settings and data, that
                one goes on. The caller removes it when the model is saved.

        Raises:
            ConfigError: wrong settings.
            ModelError: targets do not fit the texts, or a checkpoint cannot be used.
            RunError: ``checkpoints`` belong to another training.
            StorageError: a checkpoint cannot be written.
        """

    @abstractmethod
    def predict_proba(self, X: Sequence[str]) -> np.ndarray:  # noqa: N803  sklearn's name
        """Probabilities [texts, classes]; rows sum to 1 for single-label only."""

    @abstractmethod
    def _save_parts(self, folder: Path) -> None: ...

    @abstractmethod
    def _load_parts(self, folder: Path) -> None: ...

    def predict(self, X: Sequence[str]) -> np.ndarray:  # noqa: N803  sklearn's name
        """Class names [texts], or an indicator matrix [texts, labels] for multi-label."""
        return self.decide(self.predict_proba(X))

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """The prediction for these probabilities [texts, classes], by ``thresholds_``."""
        if self.task_ == "single":
            return np.asarray(self.classes_[probabilities.argmax(1)])
        return (probabilities >= self.thresholds_).astype(np.int64)

    def save(self, folder: Path) -> None:
        """Write the fitted model into ``folder``, all or nothing; JSON and safetensors only."""
        self._check_fitted()
        with runs.atomic_folder(folder) as partial:
            self._save_parts(partial)
            if self.normalizer is not None:
                self.normalizer.save(partial / NORMALIZER)
            runs.write_json(partial / FILE, self._facts())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            RunError: the folder is incomplete or of another version.
        """
        facts = runs.read_json(folder / FILE)
        model = cls(**facts["parameters"])
        model.classes_ = np.array(facts["classes"])
        model.task_ = facts["task"]
        tuned = facts["thresholds"]
        model.thresholds_ = None if tuned is None else np.array(tuned)
        if (folder / NORMALIZER).is_dir():
            model.normalizer = Normalizer.load(folder / NORMALIZER, _make_scorer)
        model._load_parts(folder)
        return model

    def _facts(self) -> dict[str, Any]:
        tuned, parameters = self.thresholds_, self.get_params(deep=False)
        return {
            "format": FORMAT,
            "kind": self.kind,
            "parameters": {k: plain(v) for k, v in parameters.items() if k != NORMALIZER},
            "task": self.task_,
            "classes": self.classes_.tolist(),
            "thresholds": None if tuned is None else tuned.tolist(),
        }

    def _read(self, given: Any) -> list[str]:
        """The texts as the model reads them: checked, and normalised if it has a normaliser.

        Raises:
            ModelError: they are no sequence of strings.
        """
        texts = as_texts(given)
        return texts if self.normalizer is None else self.normalizer(texts)

    def _learn_targets(self, texts: Sequence[str], y: Any) -> np.ndarray:
        """Set ``task_`` and ``classes_``; targets as a matrix of 0 and 1 [texts, classes].

        Raises:
            ModelError: targets and texts do not fit each other, or there is one class only.
        """
        given = np.asarray(y)
        self.task_ = (
            ("multi" if given.ndim == 2 else "single") if self.task == "auto" else self.task
        )
        if given.ndim != (2 if self.task_ == "multi" else 1):
            raise ModelError(
                f"the task is {self.task_}-label but the targets have {given.ndim} dimension(s)",
                "Give one class a text (single) or a matrix of 0 and 1 (multi).",
            )
        if self.classes is not None:
            self.classes_ = np.asarray(self.classes)
        else:
            self.classes_ = np.arange(given.shape[1]) if given.ndim == 2 else np.unique(given)
        if self.task_ == "single" and len(np.unique(given)) < 2:
            raise ModelError(
                "the training rows have one class only", "A classifier needs at least two classes."
            )
        self.thresholds_ = None
        return self._as_matrix(texts, given)

    def _as_matrix(self, texts: Sequence[str], y: Any) -> np.ndarray:
        """Targets of known classes as uint8 [texts, classes]."""
        given = np.asarray(y)
        if len(texts) != len(given) or not len(texts):
            raise ModelError(f"there are {len(texts)} texts and {len(given)} targets")
        if given.ndim == 2:
            if given.shape[1] != len(self.classes_) or not np.isin(given, (0, 1)).all():
                raise ModelError(f"targets must be 0 and 1 in {len(self.classes_)} columns")
            return given.astype(np.uint8)
        if unknown := set(given.tolist()) - set(self.classes_.tolist()):
            raise ModelError(
                f"{len(unknown)} class(es) of the rows are not among the known"
                f" {len(self.classes_)}",
                "Name all of them in `classes`, or split again so that training has each.",
            )
        matrix: np.ndarray = given[:, None] == self.classes_[None, :]
        return matrix.astype(np.uint8)

    def _tune(self, validation: tuple[Sequence[str], Any] | None, kind: thresholds.Kind) -> None:
        """Set ``thresholds_`` on validation rows; one half where there are none."""
        if self.task_ == "single":
            return
        self.thresholds_ = np.full(len(self.classes_), thresholds.DEFAULT)
        if validation is not None:
            truth = self._as_matrix(*validation)
            self.thresholds_ = thresholds.tune(truth, self.predict_proba(validation[0]), kind)

    def _check_fitted(self) -> None:
        if not hasattr(self, "classes_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit first")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.classifier_tags.multi_label = True
        return tags


def plain(value: Any) -> Any:
    """A parameter as JSON holds it: what a grid or a table gave is NumPy's."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def as_texts(given: Any) -> list[str]:
    """The texts as a list.

    Raises:
        ModelError: one string, a table, or rows that are not text; names the first row.
    """
    if isinstance(given, str) or getattr(given, "ndim", 1) != 1:
        raise ModelError("texts must be a sequence of strings, one a record")
    texts = list(given)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ModelError(
                f"row {row} is {type(text).__name__}, not text",
                "Replace missing texts by empty ones, or leave the rows out.",
            )
    return texts


def _make_scorer(name: str) -> Scorer:
    """The language model of a normaliser that mends typing errors."""
    from emrobust.encoder.scoring import CharacterScorer  # noqa: PLC0415 - torch loads slowly

    return CharacterScorer(name)

"""TF-IDF n-grams with logistic regression or a linear SVM: the baseline to beat.

Measured on haodf_triage diseases (61 classes, an 80/20 split of train.csv by row): macro-F1
0.66 with either classifier. 20,000 notes of 170 characters with 61 labels fit in about half a
minute on two cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import scipy.sparse as sp
from safetensors.numpy import load_file, save_file
from scipy.optimize import minimize
from scipy.special import expit, softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from emrobust import rng, runs
from emrobust.errors import ModelError
from emrobust.models.estimator import Task, TextClassifier
from emrobust.models.thresholds import Kind
from emrobust.normalize import Normalizer
from emrobust.registry import register

_WORD = r"(?u)\b\w+\b"


@register("model")
class Tfidf(TextClassifier):
    """Character (Chinese) or word (English) n-grams and a linear classifier.

    Args:
        task: ``auto`` decides by the shape of the targets.
        seed: of the SVM's order of rows and of its held-out fifth.
        classes: the label set and the order of its columns; absent: what the targets hold.
        thresholds: how multi-label thresholds are tuned on validation rows.
        normalizer: rewrites texts before the model reads them; absent: they are read as written.
        classifier: ``logistic`` (softmax for single-label) or ``svm`` (one against the rest;
            its margins become probabilities by a scale and an offset fitted on validation rows, or
            on a held-out fifth where there are none).
        analyzer: ``char`` or ``word``.
        shortest: smallest n of an n-gram.
        longest: largest n of an n-gram.
        min_texts: an n-gram must occur in this many training texts.
        max_features: the commonest n-grams that are kept.
        inverse_penalty: C; absent: 30 for logistic, 1 for svm.
        max_iterations: of the logistic regression's L-BFGS.
    """

    kind = "tfidf"

    def __init__(
        self,
        task: Task = "auto",
        seed: int = 0,
        classes: Sequence[str] | None = None,
        thresholds: Kind = "label",
        normalizer: Normalizer | None = None,
        *,
        classifier: Literal["logistic", "svm"] = "logistic",
        analyzer: Literal["char", "word"] = "char",
        shortest: int = 1,
        longest: int = 3,
        min_texts: int = 2,
        max_features: int = 200_000,
        inverse_penalty: float | None = None,
        max_iterations: int = 60,
    ) -> None:
        self.task = task
        self.seed = seed
        self.classes = classes
        self.thresholds = thresholds
        self.normalizer = normalizer
        self.classifier = classifier
        self.analyzer = analyzer
        self.shortest = shortest
        self.longest = longest
        self.min_texts = min_texts
        self.max_features = max_features
        self.inverse_penalty = inverse_penalty
        self.max_iterations = max_iterations

    def fit(
        self,
        X: Sequence[str],  # noqa: N803  sklearn's name
        y: Any,
        validation: tuple[Sequence[str], Any] | None = None,
        checkpoints: Path | None = None,
    ) -> Self:
        """Learn n-grams and coefficients; tune thresholds on ``validation`` only.

        A label with no positive (or no negative) among the training rows gets its base rate.

        Raises:
            ModelError: targets do not fit the texts, or no n-gram is common enough.
        """
        del checkpoints  # it is done in seconds
        self.history_ = []
        texts = self._read(X)
        targets = self._learn_targets(texts, y)
        self._vectorizer = self._new_vectorizer()
        try:
            features = self._vectorizer.fit_transform(texts)
        except ValueError:
            raise ModelError(
                f"no n-gram occurs in {self.min_texts} or more of the {len(texts)} training texts",
                "Lower `min_texts`, or give more training texts.",
            ) from None
        self._scale, self._offset = 1.0, 0.0
        if self.classifier == "svm":
            self._fit_svm(features, targets, validation)
        else:
            self._weights, self._bias = self._solve(features, targets)
        self._tune(validation, self.thresholds)
        return self

    def predict_proba(self, X: Sequence[str]) -> np.ndarray:  # noqa: N803  sklearn's name
        """Probabilities, float64 [texts, classes]."""
        self._check_fitted()
        features = self._vectorizer.transform(self._read(X))
        return self._probabilities(features @ self._weights + self._bias)

    def _probabilities(self, margins: np.ndarray) -> np.ndarray:
        scaled = margins.astype(np.float64) * self._scale + self._offset
        if self.task_ == "single":
            return np.asarray(softmax(scaled, axis=1))
        return np.asarray(np.where(self._constant(), expit(margins), expit(scaled)))

    def _constant(self) -> np.ndarray:
        """Which labels have a base rate only [labels]."""
        return np.asarray(~self._weights.any(0))

    def _new_vectorizer(self) -> TfidfVectorizer:
        return TfidfVectorizer(
            analyzer=self.analyzer,
            token_pattern=_WORD if self.analyzer == "word" else None,
            ngram_range=(self.shortest, self.longest),
            min_df=self.min_texts,
            max_features=self.max_features,
            sublinear_tf=True,
            dtype=np.float32,
        )

    def _solve(self, features: sp.csr_matrix, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights [features, classes] and biases [classes], float32."""
        from emrobust.models import logistic  # noqa: PLC0415 - torch loads slowly, and only fits

        solve = self._solve_logistic if self.classifier == "logistic" else self._solve_svm
        return logistic.fit_varied(features, targets, solve)

    def _solve_logistic(
        self, features: sp.csr_matrix, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        from emrobust.models import logistic  # noqa: PLC0415 - torch loads slowly, and only fits

        return logistic.fit(
            features,
            targets,
            inverse_penalty=self.inverse_penalty or 30.0,
            exclusive=self.task_ == "single",
            max_iterations=self.max_iterations,
        )

    def _solve_svm(
        self, features: sp.csr_matrix, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        solver = LinearSVC(
            C=self.inverse_penalty or 1.0, random_state=self.seed % 2**31, max_iter=10_000
        )
        weights = np.empty((features.shape[1], targets.shape[1]), dtype=np.float32)
        bias = np.empty(targets.shape[1], dtype=np.float32)
        for column in range(targets.shape[1]):
            solver.fit(features, targets[:, column])
            weights[:, column], bias[column] = solver.coef_[0], solver.intercept_[0]
        return weights, bias

    def _fit_svm(
        self,
        features: sp.csr_matrix,
        targets: np.ndarray,
        validation: tuple[Sequence[str], Any] | None,
    ) -> None:
        """Weights from all rows; scale and offset from rows that the weights did not see."""
        if validation is None:
            order = rng.generator(self.seed, "tfidf", "held out").permutation(len(targets))
            held, rest = order[: len(order) // 5], order[len(order) // 5 :]
            self._weights, self._bias = self._solve(features[rest], targets[rest])
            self._calibrate(features[held], targets[held])
            self._weights, self._bias = self._solve(features, targets)
        else:
            self._weights, self._bias = self._solve(features, targets)
            texts = self._read(validation[0])
            self._calibrate(self._vectorizer.transform(texts), self._as_matrix(*validation))

    def _calibrate(self, features: sp.csr_matrix, targets: np.ndarray) -> None:
        """Platt's method with one scale and one offset for all labels."""
        if not len(targets):
            return
        margins = features @ self._weights + self._bias

        def loss(parameters: np.ndarray) -> float:
            self._scale, self._offset = float(np.exp(parameters[0])), float(parameters[1])
            chances = self._probabilities(margins).clip(1e-12, 1 - 1e-12)
            hits = np.log(chances) * targets
            misses = np.log1p(-chances) * (1 - targets) if self.task_ == "multi" else 0.0
            return -float(np.mean(hits + misses))

        loss(minimize(loss, np.zeros(2), method="Nelder-Mead").x)

    def _save_parts(self, folder: Path) -> None:
        words = self._vectorizer.get_feature_names_out().tolist()
        runs.write_json(folder / "vocabulary.json", words)
        arrays = {
            "idf": self._vectorizer.idf_,
            "weights": self._weights,
            "bias": self._bias,
            "calibration": np.array([self._scale, self._offset]),
        }
        with runs.atomic_file(folder / "coefficients.safetensors") as partial:
            save_file(arrays, partial)

    def _load_parts(self, folder: Path) -> None:
        arrays = load_file(folder / "coefficients.safetensors")
        self._vectorizer = self._new_vectorizer()
        self._vectorizer.vocabulary = runs.read_json(folder / "vocabulary.json")
        self._vectorizer.idf_ = arrays["idf"]
        self._weights, self._bias = arrays["weights"], arrays["bias"]
        self._scale, self._offset = arrays["calibration"].tolist()

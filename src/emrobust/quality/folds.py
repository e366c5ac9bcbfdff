"""Probabilities of rows from models that never saw them, nor any other visit of their patients.

A quick TF-IDF model will do: it only has to rank what a clinician reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from emrobust import progress, rng
from emrobust.errors import InputError
from emrobust.models.tfidf import Tfidf

# Quick rather than best; measured on the clinic, trigrams found no more wrong codes.
_CHINESE: dict[str, Any] = {"longest": 2}
_ENGLISH: dict[str, Any] = {"analyzer": "word", "longest": 1}
_QUICK: dict[str, Any] = {"max_features": 50_000, "max_iterations": 30}


def out_of_fold(
    texts: Sequence[str],
    truth: np.ndarray,
    patients: Sequence[str],
    *,
    single: bool,
    folds: int = 5,
    seed: int = 0,
    language: str = "zh",
) -> np.ndarray:
    """Probabilities of all rows, float64 [rows, labels].

    Args:
        texts: of all rows.
        truth: 0 and 1 [rows, labels]; one 1 a row where ``single``.
        patients: whose each row is; a patient lies in one fold.
        single: whether labels exclude each other.
        folds: at least 2.
        seed: of the folds.
        language: Chinese is read by characters, English by words.

    Raises:
        InputError: fewer patients than folds.
        ModelError: a fold's training rows cannot teach a model.
    """
    _, patient = np.unique(np.asarray(patients), return_inverse=True)
    count = int(patient.max(initial=-1)) + 1
    if count < folds:
        raise InputError(
            f"{count} patients cannot be divided into {folds} folds",
            "Check a larger table, or give fewer --folds.",
        )
    order = rng.generator(seed, "quality", "folds").permutation(count)
    fold = (order % folds)[patient]
    probability = np.zeros(truth.shape)
    settings = (_CHINESE if language == "zh" else _ENGLISH) | _QUICK
    classes = [str(k) for k in range(truth.shape[1])]
    with progress.track("checking labels", folds, "folds") as advance:
        for k in range(folds):
            learned, asked = np.flatnonzero(fold != k).tolist(), np.flatnonzero(fold == k).tolist()
            targets = truth[learned]
            model = Tfidf(task="single" if single else "multi", classes=classes, **settings)
            model.fit(
                [texts[row] for row in learned],
                np.array(classes)[targets.argmax(1)] if single else targets,
            )
            probability[asked] = model.predict_proba([texts[row] for row in asked])
            advance(1)
    return probability

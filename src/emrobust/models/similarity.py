"""The nearest of many texts, by the cosine of their TF-IDF character n-grams.

No model has to be trained for it and nothing is approximated: blocks of the whole matrix of
cosines are made and forgotten, so memory does not grow with the number of questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

_BLOCK = 256
_FEATURES = 150_000
# What nearly every text has says nothing and costs most.
_COMMON = 0.5
_ENOUGH_TEXTS = 20


class Nearest(NamedTuple):
    """The nearest known texts of each text, the nearest first.

    Attributes:
        rows: their places, int64 [texts, k]; -1 where there are fewer than k.
        cosine: 0 to 1, float64 [texts, k]; 0 where there is none.
    """

    rows: np.ndarray
    cosine: np.ndarray


class Similarity:
    """Knows some texts and finds the nearest of them to others.

    Args:
        texts: the known ones, at least one.
        groups: whose each is, to leave the asker's own out; absent: none is left out.
        language: Chinese is compared by characters, English by words.
    """

    def __init__(
        self, texts: Sequence[str], groups: Sequence[str] | None = None, language: str = "zh"
    ) -> None:
        many = len(texts) > _ENOUGH_TEXTS
        self._vectorizer = TfidfVectorizer(
            analyzer="char" if language == "zh" else "word",
            token_pattern=None if language == "zh" else r"(?u)\b\w+\b",
            ngram_range=(2, 3) if language == "zh" else (1, 2),
            max_df=_COMMON if many else 1.0,
            max_features=_FEATURES,
            sublinear_tf=True,
            dtype=np.float32,
        )
        # Texts without any n-gram (empty ones) would be an error if all are so.
        known = self._vectorizer.fit_transform([*texts, "无 内容 no content"])
        self._known = known[:-1].T.tocsr()
        self._groups = None if groups is None else np.asarray(groups)

    def nearest(self, texts: Sequence[str], k: int, groups: Sequence[str] | None = None) -> Nearest:
        """The k nearest known texts of each.

        Args:
            texts: the questions.
            k: at most so many.
            groups: whose each question is; known texts of the same group are left out.
        """
        given = self._vectorizer.transform(texts)
        owners = None if groups is None or self._groups is None else np.asarray(groups)
        wanted = min(k, self._known.shape[1])
        rows = np.full((len(texts), k), -1)
        cosine = np.zeros((len(texts), k))
        for start in range(0, len(texts), _BLOCK):
            block = np.asarray((given[start : start + _BLOCK] @ self._known).todense())
            if owners is not None:
                block[owners[start : start + _BLOCK, None] == self._groups] = -1.0
            found = np.argpartition(-block, wanted - 1, axis=1)[:, :wanted]
            values = np.take_along_axis(block, found, axis=1)
            order = np.argsort(-values, axis=1, kind="stable")
            here = slice(start, start + len(block))
            cosine[here, :wanted] = np.take_along_axis(values, order, axis=1)
            rows[here, :wanted] = np.take_along_axis(found, order, axis=1)
        rows[cosine < 0] = -1
        return Nearest(rows, cosine.clip(0.0, 1.0))

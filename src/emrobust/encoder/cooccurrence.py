"""Word vectors from counting, in seconds: what a small encoder may learn before it learns to read.

Positive pointwise mutual information of words in a window, factored by a truncated SVD (Levy and
Goldberg 2014, "Neural word embedding as implicit matrix factorization"; contexts smoothed to the
power of 3/4 after Levy, Goldberg and Dagan 2015). A passage is the mean of its words weighted
against frequent ones, less the common direction (Arora, Liang and Ma 2017).

Pretraining distils them: each token predicts its word's vector, each passage its own. A masked
token gives one signal in seven tokens, and a sparse one; this gives a dense one at every token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from emrobust.encoder.corpus import Corpus
from emrobust.errors import SourceError

_WINDOW = 8
_CONTEXTS = 15_000
_MIN_COUNT = 8
# Words of a passage weigh 1 / (1 + frequency · this), which is SIF's a / (a + p) with a = 1/3000.
_SIF = 3000.0


class WordVectors(NamedTuple):
    """Unit vectors of the common words.

    Attributes:
        rows: row in ``vectors`` for each word of the corpus's vocabulary, −1 without [words].
        vectors: float32 [common words, width], of length 1; the last row is zero, for −1.
        weights: of a word within its passage, float32 [common words + 1], the last 0.
    """

    rows: np.ndarray
    vectors: np.ndarray
    weights: np.ndarray

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self.vectors.shape[1])


def learn(corpus: Corpus, *, width: int = 128, seed: int = 0) -> WordVectors:
    """Count and factor.

    Raises:
        SourceError: the corpus has too few common words for ``width`` dimensions.
    """
    begins = np.asarray(corpus.begins)
    passages = np.repeat(np.arange(len(corpus.starts) - 1), corpus.lengths)[begins]
    sequence = np.asarray(corpus.words)[begins]
    counts = np.bincount(sequence, minlength=len(corpus.vocabulary))
    rows = _rank(corpus.vocabulary, counts)
    common = int(rows.max(initial=-1)) + 1
    if common <= width:
        raise SourceError(
            f"the corpus has {common} words that occur {_MIN_COUNT} times, too few to learn from",
            "Give more text (some megabytes), or leave the co-occurrence statistics out.",
        )
    kept = rows[sequence] >= 0
    matrix = _ppmi(rows[sequence][kept], passages[kept], common)
    left, singular, _ = randomized_svd(matrix, n_components=width, n_iter=3, random_state=seed)
    vectors = _normalise(left * np.sqrt(singular))
    frequency = np.sort(counts[rows >= 0])[::-1] / max(len(sequence), 1)
    vectors = _normalise(vectors - frequency @ vectors / frequency.sum())
    weights = 1.0 / (1.0 + frequency * _SIF)
    return WordVectors(
        rows,
        np.vstack([vectors, np.zeros((1, width))]).astype(np.float32),
        np.append(weights, 0.0).astype(np.float32),
    )


def _rank(vocabulary: Sequence[str], counts: np.ndarray) -> np.ndarray:
    """Common words from 0 in the order of frequency; −1 for rare ones and for bare signs."""
    spelled = np.array([any(map(str.isalpha, word)) for word in vocabulary], bool)
    usable = np.flatnonzero(spelled & (counts >= _MIN_COUNT))
    order = usable[np.argsort(-counts[usable], kind="stable")]
    rows = np.full(len(vocabulary), -1, np.int64)
    rows[order] = np.arange(len(order))
    return rows


def _ppmi(sequence: np.ndarray, passages: np.ndarray, common: int) -> sparse.csr_matrix:
    """Positive PMI of words and the commonest contexts; a neighbour at distance d counts 1/√d."""
    contexts = min(common, _CONTEXTS)
    counts = sparse.csr_matrix((common, contexts), dtype=np.float32)
    for distance in range(1, _WINDOW + 1):
        near = passages[:-distance] == passages[distance:]
        left, right = sequence[:-distance][near], sequence[distance:][near]
        for word, context in ((left, right), (right, left)):
            known = context < contexts
            weight = np.full(int(known.sum()), distance**-0.5, np.float32)
            counts += sparse.csr_matrix((weight, (word[known], context[known])), shape=counts.shape)
    pairs = counts.tocoo()
    of_word = np.asarray(counts.sum(1)).ravel()
    of_context = np.asarray(counts.sum(0)).ravel() ** 0.75
    of_context /= of_context.sum()
    information = np.log(pairs.data / of_word[pairs.row] / of_context[pairs.col])
    positive = information > 0
    return sparse.csr_matrix(
        (information[positive], (pairs.row[positive], pairs.col[positive])), shape=counts.shape
    )


def _normalise(vectors: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return scaled

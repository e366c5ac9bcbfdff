"""Which tokens are hidden: whole words, drawn anew each time, 80 % [MASK], 10 % another, 10 % left.

BERT's proportions (Devlin et al. 2019), whole words (Cui et al. 2021), dynamic (Liu et al. 2019).
Frequent words teach little: as in word2vec's subsampling (Mikolov et al. 2013), a word may be
hidden the more often the rarer it is, so that 肺炎 is asked for and the comma is not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Words of this frequency are hidden half as often as rare ones.
_FREQUENT = 1 / 3000


class Masked(NamedTuple):
    """A batch with words hidden.

    Attributes:
        ids: what the encoder reads, int64 [rows, tokens].
        chosen: the tokens to predict [rows, tokens].
    """

    ids: np.ndarray
    chosen: np.ndarray


def rates(words: np.ndarray, size: int, rate: float, *, even: bool) -> np.ndarray:
    """How often each word is hidden, so that ``rate`` of all tokens are, float32 [size].

    Args:
        words: the word of each token of the corpus, as a number below ``size`` [tokens].
        size: number of different words.
        rate: share of tokens to hide.
        even: hide every word equally often instead of rare ones more often.
    """
    if even:
        return np.full(size, rate, np.float32)
    frequency = np.bincount(words, minlength=size) / max(len(words), 1)
    weight = 1 / (1 + frequency / _FREQUENT)
    found: np.ndarray = np.minimum(weight * rate / (frequency @ weight), 0.9).astype(np.float32)
    return found


def mask_words(
    ids: np.ndarray,
    begins: np.ndarray,
    ordinary: np.ndarray,
    random: np.random.Generator,
    *,
    rates: np.ndarray,
    mask: int,
    others: tuple[int, int],
) -> Masked:
    """Hide words.

    Args:
        ids: token numbers [rows, tokens].
        begins: whether a token begins a word [rows, tokens].
        ordinary: false on special tokens and padding, which are never hidden.
        random: where the draws come from.
        rates: how often each token's word is hidden [rows, tokens].
        mask: number of the mask token.
        others: range of token numbers that may stand in for a hidden one.
    """
    word = np.cumsum((begins | ~ordinary).ravel())
    drawn = random.random(int(word[-1]) + 1, dtype=np.float32)[word].reshape(ids.shape)
    chosen = (drawn < rates) & ordinary
    fate = random.random(ids.shape, dtype=np.float32)
    hidden = np.where(chosen & (fate < 0.8), mask, ids)
    swapped = chosen & (fate >= 0.8) & (fate < 0.9)
    hidden[swapped] = random.integers(*others, size=int(swapped.sum()))
    return Masked(hidden, chosen)

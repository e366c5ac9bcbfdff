"""Which tokens are hidden: whole words, drawn anew each time, 80 % [MASK], 10 % another, 10 % left.

BERT's proportions (Devlin et al. 2019), whole words (Cui et al. 2021), dynamic (Liu et al. 2019).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Masked(NamedTuple):
    """A batch with words hidden.

    Attributes:
        ids: what the encoder reads, int64 [rows, tokens].
        chosen: the tokens to predict [rows, tokens].
    """

    ids: np.ndarray
    chosen: np.ndarray


def mask_words(
    ids: np.ndarray,
    begins: np.ndarray,
    ordinary: np.ndarray,
    random: np.random.Generator,
    *,
    rate: float,
    mask: int,
    others: tuple[int, int],
) -> Masked:
    """Hide words.

    Args:
        ids: token numbers [rows, tokens].
        begins: whether a token begins a word [rows, tokens].
        ordinary: false on special tokens and padding, which are never hidden.
        random: where the draws come from.
        rate: share of words to hide.
        mask: number of the mask token.
        others: range of token numbers that may stand in for a hidden one.
    """
    word = np.cumsum((begins | ~ordinary).ravel())
    chosen = (random.random(int(word[-1]) + 1) < rate)[word].reshape(ids.shape) & ordinary
    fate = random.random(ids.shape, dtype=np.float32)
    hidden = np.where(chosen & (fate < 0.8), mask, ids)
    swapped = chosen & (fate >= 0.8) & (fate < 0.9)
    hidden[swapped] = random.integers(*others, size=int(swapped.sum()))
    return Masked(hidden, chosen)

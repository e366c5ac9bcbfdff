"""Where words begin in Chinese text: rjieba's dictionary and the clinic's medical terms.

Whole-word masking hides a word's tokens together (Cui et al. 2021, "Pre-training with whole word
masking for Chinese BERT"), and the co-occurrence statistics count words, not characters.
"""

from __future__ import annotations

import functools

import numpy as np
import rjieba

from emrobust.clinic import tables


@functools.lru_cache(maxsize=1)
def _segmenter() -> rjieba.Jieba:
    segmenter = rjieba.Jieba()
    for term in sorted(_terms()):
        segmenter.add_word(term, None, None)
    return segmenter


def _terms() -> set[str]:
    """Wordings of findings and names of diagnoses, as short as words are."""
    medicine = tables.load()
    found = {word for finding in medicine.findings for of in finding.words for word in of}
    return {
        term for term in found | set(medicine.classes) if 2 <= len(term) <= 6 and term.isalpha()
    }


def cut(text: str) -> list[str]:
    """The words of a text, in order; joined they are the text again."""
    words: list[str] = _segmenter().cut(text)
    return words


def number_characters(words: list[str]) -> np.ndarray:
    """The number of its word for each character, int64 [characters]."""
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    return np.repeat(np.arange(len(words)), lengths)

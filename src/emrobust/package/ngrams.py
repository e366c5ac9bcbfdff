"""Texts as counts of hashed character n-grams: no dictionary, no training, no scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

# Odd numbers of 32 bits with mixed digits (those of Murmur3's finaliser and of xxHash).
_MIX = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D), np.uint32(0x27D4EB2F))
_SIZES = {"zh": 2, "en": 4}


def count(texts: Sequence[str], buckets: int, language: str) -> sparse.csr_matrix:
    """How often the n-grams of each bucket occur, float32 [texts, buckets]; blanks are left out.

    Args:
        texts: any.
        buckets: a power of two.
        language: pairs of characters for Chinese, four in a row for English.
    """
    rows = [_hash("".join(text.lower().split()), buckets, language) for text in texts]
    starts = np.cumsum([0, *(len(row) for row in rows)])
    places = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    ones = np.ones(len(places), dtype=np.float32)
    counted = sparse.csr_matrix((ones, places, starts), shape=(len(rows), buckets))
    counted.sum_duplicates()
    return counted


def normalise(counted: sparse.csr_matrix, weights: np.ndarray | None = None) -> sparse.csr_matrix:
    """Dampened counts, weighted by bucket, of length 1 a row; a text without n-grams stays 0."""
    made = counted.copy()
    made.data = 1 + np.log(made.data)
    if weights is not None:
        made.data *= weights[made.indices]
    norms = np.sqrt(np.asarray(made.multiply(made).sum(axis=1))[:, 0])
    made.data /= np.repeat(np.where(norms > 0, norms, 1), np.diff(made.indptr))
    return made


def _hash(text: str, buckets: int, language: str) -> np.ndarray:
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), dtype="<u4")
    many = len(codes) - _SIZES[language] + 1
    if many < 1:
        return np.zeros(0, dtype=np.int64)
    mixed = np.zeros(many, dtype=np.uint32)
    for place in range(_SIZES[language]):
        mixed += codes[place : many + place] * _MIX[place]
    mixed ^= mixed >> np.uint32(15)
    mixed *= _MIX[0]
    return (mixed >> np.uint32(32 - (buckets.bit_length() - 1))).astype(np.int64)

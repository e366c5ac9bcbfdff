"""Identical and near-duplicate texts whose records lie in different parts of a split.

Near is measured by the Jaccard similarity of the sets of character 4-grams. Candidates come
from MinHash signatures in bands (Broder 1997; Leskovec, Rajaraman & Ullman, *Mining of Massive
Datasets*, ch. 3), thinned out by an eight-bit sketch of the signature (Li & König 2010), and
are then verified exactly on the texts, which are read a second time. The bands are chosen so
that a pair exactly at the threshold is found with a probability of at least 0.99.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emrobust import rng
from emrobust.split import texts

HASHES = 120
RECALL = 0.99
LISTED = 1_000
# Beyond these the count is a lower bound, and is said to be one.
MAX_RUN = 256
MAX_CANDIDATES = 20_000_000
MAX_VERIFIED = 300_000
_CHUNK_CHARACTERS = 1 << 16


class Sketches(NamedTuple):
    """What is kept of the texts: about 230 bytes a row.

    ``digests`` uint64 [rows]; ``bands`` uint64 [rows, bands]; ``bits`` uint8 [rows, HASHES].
    """

    digests: np.ndarray
    bands: np.ndarray
    bits: np.ndarray


class Pair(NamedTuple):
    """Two rows in different parts, and their similarity."""

    first: int
    second: int
    similarity: float


class Duplicates(NamedTuple):
    """Duplicates across parts; pairs are pairs of records.

    Attributes:
        identical_pairs: with the same normalised text.
        identical_pairs_of_different_patients: those of them that two patients share.
        identical_texts: how many texts occur in more than one part.
        near_pairs: different texts, at least as similar as the threshold.
        near_is_lower_bound: more near pairs may exist than were looked at.
        near_rows: rows per part that have an identical or near text in another part.
        listed: at most `LISTED` pairs, one for each pair of texts, the most similar first.
    """

    identical_pairs: int
    identical_pairs_of_different_patients: int
    identical_texts: int
    near_pairs: int
    near_is_lower_bound: bool
    near_rows: list[int]
    listed: list[Pair]


def rows_per_band(threshold: float) -> int:
    """The most selective number of hashes a band that still finds pairs at the threshold."""
    fitting = [
        r
        for r in range(1, HASHES + 1)
        if HASHES % r == 0 and 1 - (1 - threshold**r) ** (HASHES // r) >= RECALL
    ]
    return max(fitting, default=1)


def sketch(path: Path, threshold: float, seed: int) -> Sketches:
    """Read all texts once and keep their sketches."""
    random = rng.generator(seed, "minhash")
    per_band = rows_per_band(threshold)
    factors = random.integers(0, 1 << 63, HASHES, np.uint64) * np.uint64(2) + np.uint64(1)
    shifts = random.integers(0, 1 << 63, HASHES, np.uint64)
    odd = random.integers(0, 1 << 63, per_band, np.uint64) * np.uint64(2) + np.uint64(1)
    digests, bands, bits = [], [], []
    for chunk in _chunks(path):
        signature = _signature(chunk, factors, shifts)
        banded = signature.reshape(len(chunk), -1, per_band)
        bands.append((banded * odd).sum(axis=2, dtype=np.uint64))
        # Middle bits: the minimum's high bits are nearly always zero.
        bits.append((signature >> np.uint64(24)).astype(np.uint8))
        digests.append(np.array([texts.digest(text) for text in chunk], np.uint64))
    return Sketches(np.concatenate(digests), np.concatenate(bands), np.concatenate(bits))


def _chunks(path: Path) -> Iterator[list[str]]:
    """Normalised texts, so many at a time that the shingles stay in the processor's cache."""
    for batch in texts.read(path):
        chunk: list[str] = []
        size = 0
        for text in batch:
            if chunk and size + len(text) > _CHUNK_CHARACTERS:
                yield chunk
                chunk, size = [], 0
            chunk.append(text)
            size += len(text)
        yield chunk


def _signature(chunk: Sequence[str], factors: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    hashes, starts = texts.shingles(chunk)
    signature = np.empty((len(chunk), HASHES), np.uint64)
    buffer = np.empty_like(hashes)
    for place in range(HASHES):
        np.multiply(hashes, factors[place], out=buffer)
        np.add(buffer, shifts[place], out=buffer)
        signature[:, place] = np.minimum.reduceat(buffer, starts)
    return signature


def find(
    path: Path, parts: np.ndarray, patients: np.ndarray, threshold: float, seed: int
) -> Duplicates:
    """Find duplicates across parts.

    Args:
        path: the records file.
        parts: part of each row, -1 for rows that are left out, [rows].
        patients: number of each row's patient, [rows].
        threshold: Jaccard similarity from which texts count as near, above 0 to 1.
        seed: of the hash functions.
    """
    sketches = sketch(path, threshold, seed)
    rows = np.flatnonzero(parts >= 0)
    part, patient = parts[rows], patients[rows]
    _, text = np.unique(sketches.digests[rows], return_inverse=True)
    identical = cross_pairs(text, part)
    _, of_patient = np.unique(text * (int(patients.max()) + 1) + patient, return_inverse=True)

    # An item is a text in a part; all its records share its near texts.
    k = int(part.max()) + 1
    _, first, item, weight = np.unique(
        text * k + part, return_index=True, return_inverse=True, return_counts=True
    )
    bands, bits = sketches.bands[rows[first]], sketches.bits[rows[first]]
    codes, capped = _candidates(bands, bits, part[first], text[first], threshold)
    pairs, similarity = _verify(path, codes, rows[first], threshold)
    touched = np.zeros(len(first), bool)
    touched[pairs.ravel()] = True
    across = np.bincount(text[first]) > 1
    touched |= across[text[first]]
    listed = _same_text(text[first], rows[first]) + [
        _pair(rows[first[a]], rows[first[b]], s)
        for (a, b), s in zip(pairs[:LISTED], similarity, strict=False)
    ]
    return Duplicates(
        identical_pairs=identical,
        identical_pairs_of_different_patients=identical - cross_pairs(of_patient, part),
        identical_texts=int(across.sum()),
        near_pairs=int((weight[pairs[:, 0]] * weight[pairs[:, 1]]).sum()),
        near_is_lower_bound=capped or len(codes) > MAX_VERIFIED,
        near_rows=np.bincount(part[touched[item]], minlength=k).tolist(),
        listed=listed[:LISTED],
    )


def cross_pairs(group: np.ndarray, part: np.ndarray) -> int:
    """Pairs of rows of one group that lie in different parts."""
    within = np.unique(group * (int(part.max()) + 1) + part, return_counts=True)[1]
    return int((np.bincount(group).astype(np.int64) ** 2).sum() - (within**2).sum()) // 2


def _pair(one: Any, other: Any, similarity: Any) -> Pair:
    first, second = sorted((int(one), int(other)))
    return Pair(first, second, round(float(similarity), 4))


def _same_text(text: np.ndarray, rows: np.ndarray) -> list[Pair]:
    """One pair for each two parts that share a text; items are sorted by text, then part."""
    same = np.flatnonzero(text[1:] == text[:-1])[:LISTED]
    return [_pair(rows[i], rows[i + 1], 1.0) for i in same]


def _candidates(
    bands: np.ndarray, bits: np.ndarray, part: np.ndarray, text: np.ndarray, threshold: float
) -> tuple[np.ndarray, bool]:
    """Pairs of items of different parts and texts that share a band and have a near sketch.

    Returns:
        pairs coded as first · items + second, the nearest sketches first, and whether any
        were passed over.
    """
    items = len(part)
    # Three standard errors below the threshold; chance agreement of bytes only adds.
    least = threshold - 3.0 * math.sqrt(threshold * (1.0 - threshold) / HASHES)
    found: list[np.ndarray] = []
    looked_at, capped = 0, False
    for band in bands.T:
        order = np.lexsort((text, band))
        run = np.concatenate([[True], band[order][1:] != band[order][:-1]]).cumsum()
        left = np.arange(items)
        for step in range(1, MAX_RUN + 1):
            left = left[left + step < items]
            left = left[run[left] == run[left + step]]
            if not len(left) or capped:
                break
            a, b = order[left], order[left + step]
            apart = (part[a] != part[b]) & (text[a] != text[b])
            a, b = np.minimum(a, b)[apart], np.maximum(a, b)[apart]
            near = (bits[a] == bits[b]).mean(axis=1) >= least
            found.append(a[near] * items + b[near])
            looked_at += len(a)
            capped = looked_at > MAX_CANDIDATES
        else:
            capped = True
    codes = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
    agreement = (bits[codes // items] == bits[codes % items]).sum(axis=1)
    return codes[np.argsort(-agreement, kind="stable")], capped


def _verify(
    path: Path, codes: np.ndarray, rows: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Exact similarity of candidates; pairs of items [pairs, 2], the most similar first."""
    codes = codes[:MAX_VERIFIED]
    pairs = np.stack([codes // len(rows), codes % len(rows)], axis=1)
    sets = _shingle_sets(path, np.unique(rows[pairs]))
    similarity = np.array([jaccard(sets[rows[a]], sets[rows[b]]) for a, b in pairs])
    near = np.flatnonzero(similarity >= threshold) if len(pairs) else np.zeros(0, np.int64)
    near = near[np.argsort(-similarity[near], kind="stable")] if len(near) else near
    return pairs[near], similarity[near] if len(near) else np.zeros(0)


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Similarity of two sets given as sorted arrays without repeats."""
    place = np.searchsorted(one, other)
    shared = int((one[np.minimum(place, len(one) - 1)] == other).sum())
    return shared / (len(one) + len(other) - shared)


def _shingle_sets(path: Path, rows: np.ndarray) -> dict[int, np.ndarray]:
    """Sorted shingles, without repeats, of some rows; the texts are read again."""
    found: dict[int, np.ndarray] = {}
    start = 0
    for batch in texts.read(path) if len(rows) else ():
        wanted = rows[(rows >= start) & (rows < start + len(batch))]
        for row in wanted.tolist():
            found[row] = np.unique(texts.shingles([batch[row - start]])[0])
        start += len(batch)
    return found

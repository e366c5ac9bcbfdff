"""What texts and answers were like when the model was made: what monitoring compares with.

Simple features are kept as histograms. Two kinds of vectors are kept as the mean of their random
Fourier features (Rahimi & Recht 2007): which pairs of characters a text has, and the model's own
scores, with which shifts of many kinds were found best (Rabanser et al. 2019). The squared
distance of two such means is the maximum mean discrepancy (MMD, Gretton et al. 2012) under a
Gaussian kernel whose bandwidth is fixed here. Where nothing has changed, n and m records give

    MMD² ~ (1/n + 1/m) · Σ λ χ²₁,   λ: eigenvalues of the features' covariance,

so the eigenvalues are all that a test takes: no record, nor the vector of one, leaves.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.special import logit

from emrobust import rng, runs
from emrobust.package import layout, ngrams, tokens

Floats = NDArray[np.floating[Any]]

_BUCKETS = 512
_FREQUENCIES = 128  # of each space: a cosine and a sine each
_CLIP = 1e-4  # of probabilities, before their logit
_PAIRS = 500  # records whose distances give the bandwidth
_SPECTRUM = 64
_DRAWS = 10_000
_DECIMALS = 4
_ARRAYS = ("centre", "weights", "mean", "spectrum")  # of a space


class Described(NamedTuple):
    """Records as monitoring sees them.

    Attributes:
        values: feature → one number a record.
        vectors: space → Fourier features [records, 2 * frequencies].
    """

    values: dict[str, Floats]
    vectors: dict[str, Floats]


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of a feature; bin k holds what is above edge k - 1 and not above edge k."""

    edges: Floats
    counts: Floats

    @classmethod
    def of(cls, values: Floats) -> Histogram:
        """With about a tenth of the records in each bin, fewer bins where values repeat."""
        edges = np.unique(np.quantile(values, np.linspace(0.1, 0.9, 9)).round(_DECIMALS))
        return cls(edges, _count(edges, values))

    def count(self, values: Floats) -> Floats:
        """How many values fall into each bin, [edges + 1]."""
        return _count(self.edges, values)


def _count(edges: Floats, values: Floats) -> Floats:
    places = np.searchsorted(edges, values, side="left")
    return np.bincount(places, minlength=len(edges) + 1).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Space:
    """One kind of vectors under its kernel.

    Attributes:
        centre: taken off every vector, [width].
        weights: frequencies, [width, frequencies]; the scale of each coordinate is in them.
        mean: of the reference's Fourier features.
        spectrum: largest eigenvalues of their covariance.
        rest: sum of the other eigenvalues.
    """

    centre: Floats
    weights: Floats
    mean: Floats
    spectrum: Floats
    rest: float

    def embed(self, vectors: np.ndarray) -> Floats:
        """Fourier features [rows, 2 * frequencies], each row of length 1."""
        angles = (vectors - self.centre) @ self.weights
        joined = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
        return np.asarray(joined / np.sqrt(self.weights.shape[1]), dtype=np.float64)

    @functools.cached_property
    def null(self) -> Floats:
        """Draws of what (MMD² / (1/n + 1/m)) is where nothing has changed, ascending."""
        draws = rng.generator(0, "mmd").chisquare(1, (_DRAWS, len(self.spectrum)))
        return np.sort(draws @ self.spectrum + self.rest)


@dataclass(frozen=True, eq=False)
class Reference:
    """Validation records, as numbers that tell of none of them.

    Attributes:
        rows: how many they were.
        language: of the texts.
        features: name → histogram.
        spaces: ``text`` and ``output``.
        count_unknown: share of each text's tokens that the model does not know; None where its
            tokens are no words.
    """

    rows: int
    language: str
    features: Mapping[str, Histogram]
    spaces: Mapping[str, Space]
    count_unknown: Callable[[Sequence[str]], Floats] | None

    def describe(self, texts: Sequence[str], own: np.ndarray) -> Described:
        """Records as features and vectors.

        Args:
            texts: as the model reads them.
            own: the model's own probabilities, [texts, labels].
        """
        values = measure(texts, own, self.count_unknown)
        vectors = vectorise(texts, own, self.language)
        embedded = {name: space.embed(vectors[name]) for name, space in self.spaces.items()}
        return Described({name: values[name] for name in self.features}, embedded)


def measure(
    texts: Sequence[str], own: np.ndarray, count_unknown: Callable[[Sequence[str]], Floats] | None
) -> dict[str, Floats]:
    """The features: length, shares of digits and Latin letters, unknown tokens, surest label."""
    counted = np.array([_count_characters(text) for text in texts], dtype=np.float64).reshape(-1, 3)
    length = np.maximum(counted[:, 0], 1)
    found = {
        "length": counted[:, 0],
        "digits": counted[:, 1] / length,
        "latin": counted[:, 2] / length,
        "confidence": np.asarray(own, dtype=np.float64).max(axis=1, initial=0.0),
    }
    if count_unknown is not None:
        found["unknown"] = count_unknown(texts)
    return found


def _count_characters(text: str) -> tuple[int, int, int]:
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), dtype="<u4")
    lower = codes | 32  # of an ASCII letter
    return (
        len(codes),
        int(((codes >= 48) & (codes <= 57)).sum()),
        int(((lower >= 97) & (lower <= 122)).sum()),
    )


def vectorise(texts: Sequence[str], own: np.ndarray, language: str) -> dict[str, np.ndarray]:
    """Vectors of the texts and of the model's answers, [texts, …] each."""
    counted = ngrams.normalise(ngrams.count(texts, _BUCKETS, language))
    clipped = np.clip(np.asarray(own, dtype=np.float64), _CLIP, 1 - _CLIP)
    return {"text": counted.toarray(), "output": logit(clipped)}


def write(
    folder: Path, texts: Sequence[str], own: np.ndarray, *, facts: Mapping[str, Any], seed: int
) -> None:
    """Write the reference of a package whose tokenizer lies there already.

    Args:
        folder: the package.
        texts: of validation records.
        own: the model's own probabilities of them.
        facts: ``kind``, ``language`` and ``max_length`` of the package.
        seed: of the frequencies.
    """
    values = measure(texts, own, _open_unknown(folder, facts))
    vectors = vectorise(texts, own, facts["language"])
    spaces = {name: _make_space(of, seed, name) for name, of in vectors.items()}
    features = {name: Histogram.of(of) for name, of in values.items()}
    runs.write_json(
        folder / layout.DRIFT,
        {
            "rows": len(texts),
            "features": {
                name: {"edges": of.edges.tolist(), "counts": of.counts.astype(int).tolist()}
                for name, of in features.items()
            },
            "spaces": {name: {"rest": of.rest} for name, of in spaces.items()},
        },
    )
    arrays = {
        f"{name}.{part}": np.ascontiguousarray(getattr(of, part), dtype=np.float32)
        for name, of in spaces.items()
        for part in _ARRAYS
    }
    save_file(arrays, folder / layout.DRIFT_ARRAYS)


def _make_space(vectors: np.ndarray, seed: int, name: str) -> Space:
    centre = vectors.mean(axis=0)
    # Scores of a rare label and of a common one count alike; buckets are on one scale already.
    scale = np.maximum(vectors.std(axis=0), 1e-2) if name == "output" else np.ones(len(centre))
    drawn = rng.generator(seed, "drift", name)
    some = (vectors - centre)[drawn.permutation(len(vectors))[:_PAIRS]] / scale
    norms = (some**2).sum(axis=1)
    squares = norms[:, None] + norms - 2 * some @ some.T
    bandwidth = np.sqrt(max(float(np.median(squares[np.triu_indices(len(some), 1)])), 1e-6))
    weights = drawn.standard_normal((vectors.shape[1], _FREQUENCIES)) / (bandwidth * scale[:, None])
    blank = Space(centre, weights.astype(np.float32), np.zeros(0), np.zeros(0), 0.0)
    embedded = blank.embed(vectors)
    values = np.linalg.eigvalsh(np.cov(embedded, rowvar=False))[::-1].clip(0)
    return Space(
        blank.centre,
        blank.weights,
        embedded.mean(axis=0),
        values[:_SPECTRUM],
        float(values[_SPECTRUM:].sum()),
    )


def read(folder: Path, facts: Mapping[str, Any]) -> Reference | None:
    """The reference of a package; None where it carries none."""
    if not (folder / layout.DRIFT).is_file():
        return None
    saved = runs.read_json(folder / layout.DRIFT)
    arrays = load_file(folder / layout.DRIFT_ARRAYS)
    features = {
        name: Histogram(np.array(of["edges"]), np.array(of["counts"], dtype=np.float64))
        for name, of in saved["features"].items()
    }
    spaces = {
        name: Space(
            **{part: arrays[f"{name}.{part}"] for part in _ARRAYS},
            rest=of["rest"],
        )
        for name, of in saved["spaces"].items()
    }
    unknown = _open_unknown(folder, facts) if "unknown" in features else None
    return Reference(saved["rows"], facts["language"], features, spaces, unknown)


def _open_unknown(
    folder: Path, facts: Mapping[str, Any]
) -> Callable[[Sequence[str]], Floats] | None:
    """What counts the unknown tokens; None for a model that has no tokens."""
    if facts["kind"] != "onnx":
        return None
    encode = tokens.open_encoder(folder, facts["max_length"])
    number = encode.unknown
    if number is None:
        return None

    def count(texts: Sequence[str]) -> Floats:
        return np.array([row.count(number) / len(row) for row in encode(texts)])

    return count

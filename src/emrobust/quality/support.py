"""Texts that nothing in training is like: what a model says about them rests on little.

A text's support is its cosine to the nearest training text of another patient. How much is
usual is taken from the training texts themselves, so that the bound fits the hospital's way of
writing: below what 1 % of them have, a text counts as unsupported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from emrobust import rng
from emrobust.models.similarity import Similarity

_SHARE = 0.01
# So many training texts tell well enough what is usual.
_SAMPLE = 2000
_LEAST_GROUP = 20


class Group(NamedTuple):
    """A group of rows: how many have no support, with the expected share beside it."""

    name: str
    rows: int
    unsupported: int

    @property
    def share(self) -> float:
        """Of the group's rows."""
        return self.unsupported / max(self.rows, 1)


class Support(NamedTuple):
    """The support of rows outside training.

    Attributes:
        bound: the cosine below which a row counts as unsupported.
        expected: the share of training rows below it.
        cosine: of each asked row, float64 [rows].
        rows: places of the unsupported ones, the least supported first.
        groups: by column (label, site, department …), the worst group first; groups of fewer
            than 20 rows are left out.
    """

    bound: float
    expected: float
    cosine: np.ndarray
    rows: list[int]
    groups: dict[str, list[Group]]


def find_unsupported(
    training: Sequence[str],
    owners: Sequence[str],
    texts: Sequence[str],
    patients: Sequence[str],
    columns: Mapping[str, Sequence[Sequence[str]]],
    *,
    seed: int = 0,
    language: str = "zh",
) -> Support:
    """Measure the support of texts.

    Args:
        training: the training texts.
        owners: their patients.
        texts: the others.
        patients: theirs.
        columns: name → the groups of each of ``texts`` (a label set, or one department).
        seed: of the sample of training texts.
        language: Chinese is compared by characters, English by words.
    """
    known = Similarity(training, owners, language)
    order = rng.generator(seed, "quality", "support").permutation(len(training))[:_SAMPLE]
    usual = known.nearest(
        [training[row] for row in order], 1, [owners[row] for row in order]
    ).cosine[:, 0]
    bound = float(np.quantile(usual, _SHARE))
    cosine = known.nearest(texts, 1, patients).cosine[:, 0]
    below = cosine < bound
    return Support(
        bound,
        _SHARE,
        cosine,
        [int(row) for row in np.argsort(cosine, kind="stable") if below[row]],
        {name: _groups(of_rows, below) for name, of_rows in columns.items()},
    )


def _groups(of_rows: Sequence[Sequence[str]], below: np.ndarray) -> list[Group]:
    counts: dict[str, list[int]] = {}
    for groups, unsupported in zip(of_rows, below.tolist(), strict=True):
        for group in groups:
            count = counts.setdefault(group, [0, 0])
            count[0] += 1
            count[1] += unsupported
    found = [Group(name, rows, n) for name, (rows, n) in counts.items() if rows >= _LEAST_GROUP]
    return sorted(found, key=lambda group: (-group.share, group.name))

"""Groups of records where the model fails and that nobody named beforehand.

Shallow regression trees learn a record's error from what is known of it (sex, age, department,
site, year, length) and from the words in its text. Each node is a group that can be said in a
few words. Trees always find something, so half of the patients is for finding and the other half
for measuring: size, score and gap come from records that had no part in the choice, with p-values
corrected for the number of groups that were looked at.

Words are the lexicon's terms, or English words that many patients' texts have: none can point to
a person.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from emrobust import config, lexicon, rng
from emrobust.errors import InputError
from emrobust.evaluate import intervals, metrics
from emrobust.evaluate.metrics import Floats, ratio
from emrobust.evaluate.predictions import Predictions
from emrobust.evaluate.significance import holm
from emrobust.evaluate.slices.fairness import gap_draws
from emrobust.evaluate.slices.groups import Aspects

_DEPTH = 3
_SHARE, _LEAST = 0.02, 20  # patients of a group and of the others in each half, and of a word
_WORDS = 300
_GROUPS = 10
_ALIKE = 0.5  # groups that share more of their records are one
_ENGLISH = re.compile(r"[a-z]{4,}")
_LEAST_RECORDS = 200
Mask = NDArray[np.bool_]


class Condition(NamedTuple):
    """``aspect`` is ``value``, or is not; the aspect ``word`` is about the text."""

    aspect: str
    value: str
    holds: bool


@dataclass(frozen=True)
class Found:
    """A group on the records that did not find it.

    Attributes:
        conditions: all of them hold.
        n: records.
        patients: patients.
        share: of all records of that half.
        micro_f1: over all decisions of the group.
        gap: micro-F1 minus that of the other records.
        gap_interval: of the gap; None without a bootstrap.
        p: of no gap, corrected by Holm for the groups that were looked at.
        confirmed: whether the group surely fares worse.
    """

    conditions: tuple[Condition, ...]
    n: int
    patients: int
    share: float
    micro_f1: float
    gap: float
    gap_interval: tuple[float, float] | None
    p: float | None
    confirmed: bool


@dataclass(frozen=True)
class Discovery:
    """Groups, the worst first, and the halves they were found and measured on."""

    groups: tuple[Found, ...]
    found_on: int
    measured_on: int
    looked_at: int

    def confirmed(self) -> list[Found]:
        """The groups that surely fare worse."""
        return [group for group in self.groups if group.confirmed]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class _Features(NamedTuple):
    matrix: Mask
    names: list[tuple[str, str]]


def discover(
    of: Predictions,
    aspects: Aspects,
    texts: Sequence[str],
    *,
    settings: config.Evaluate,
    language: str,
    seed: int,
) -> Discovery:
    """Find groups of records where the model fails, and measure them on other patients.

    Args:
        of: predictions.
        aspects: aspect → group of each record.
        texts: of the records.
        settings: draws and confidence.
        language: of the texts.
        seed: of the halves and the bootstrap.

    Raises:
        InputError: there are too few records.
    """
    if of.n < _LEAST_RECORDS:
        raise InputError(
            f"{of.n} records are too few to find groups among",
            f"It takes {_LEAST_RECORDS}: half to find them, half to measure them.",
        )
    half = rng.generator(seed, "discovery half").permutation(of.patients) % 2
    finding = half[of.patient] == 0
    features = _features(aspects, texts, language, np.where(finding, of.patient, -1))
    candidates = _candidates(features, _errors(of), finding, seed)
    groups = _measure(of, features, candidates, ~finding, settings=settings, seed=seed)
    groups.sort(key=lambda group: (not group.confirmed, group.gap))
    return Discovery(tuple(groups), int(finding.sum()), int((~finding).sum()), len(candidates))


def _errors(of: Predictions) -> Floats:
    """One minus each record's own F1, [n]; 0 where nothing was true nor predicted."""
    both = (of.truth & of.predicted).sum(axis=1)
    either = of.truth.sum(axis=1) + of.predicted.sum(axis=1)
    return np.asarray(np.where(either == 0, 0.0, 1 - ratio(2 * both, either)))


def _features(
    aspects: Aspects, texts: Sequence[str], language: str, patient: NDArray[np.int64]
) -> _Features:
    columns: list[Mask] = []
    names: list[tuple[str, str]] = []
    for aspect, values in aspects.items():
        for value in sorted({value for value in values if value is not None}):
            columns.append(np.array([one == value for one in values], dtype=bool))
            names.append((aspect, value))
    found = [_words(text, language) for text in texts]
    for word in _common(found, patient):
        columns.append(np.array([word in of_text for of_text in found], dtype=bool))
        names.append(("word", word))
    matrix = np.stack(columns, axis=1) if columns else np.zeros((len(texts), 0), dtype=bool)
    return _Features(matrix, names)


def _words(text: str, language: str) -> set[str]:
    if language == "en":
        return set(_ENGLISH.findall(text.lower()))
    return {match.form for match in lexicon.load().find(text)}


def _common(found: Sequence[set[str]], patient: NDArray[np.int64]) -> list[str]:
    """Words of enough patients, the most frequent first; patients below 0 don't count."""
    having: dict[str, set[int]] = {}
    for who, words in zip(patient.tolist(), found, strict=True):
        for word in words if who >= 0 else ():
            having.setdefault(word, set()).add(who)
    least = max(_LEAST, _SHARE * len(np.unique(patient[patient >= 0])))
    often = [word for word, patients in having.items() if len(patients) >= least]
    return sorted(often, key=lambda word: (-len(having[word]), word))[:_WORDS]


def _candidates(
    features: _Features, errors: Floats, finding: Mask, seed: int
) -> list[tuple[Condition, ...]]:
    """The nodes of some trees where the error is highest, no two nearly the same."""
    is_word = np.array([aspect == "word" for aspect, _ in features.names], dtype=bool)
    matrix, target = features.matrix[finding], errors[finding]
    nodes: list[tuple[float, tuple[Condition, ...], Mask]] = []
    for columns in (np.flatnonzero(~is_word), np.flatnonzero(is_word), np.arange(len(is_word))):
        if len(columns):
            nodes += _nodes(matrix[:, columns], target, [features.names[c] for c in columns], seed)
    nodes.sort(key=lambda node: -node[0])
    kept: list[tuple[tuple[Condition, ...], Mask]] = []
    for excess, conditions, inside in nodes:
        if excess <= 0 or len(kept) == _GROUPS:
            break
        if all(_overlap(inside, other) <= _ALIKE for _, other in kept):
            kept.append((conditions, inside))
    return [conditions for conditions, _ in kept]


def _nodes(
    matrix: Mask, target: Floats, names: Sequence[tuple[str, str]], seed: int
) -> list[tuple[float, tuple[Condition, ...], Mask]]:
    """Every node but the root: excess error in standard errors, conditions, members."""
    least = max(_LEAST, int(_SHARE * len(target)))
    model = DecisionTreeRegressor(
        max_depth=_DEPTH, min_samples_leaf=least, random_state=rng.derive(seed, "tree") % 2**32
    ).fit(matrix, target)
    tree, mean, deviation = model.tree_, target.mean(), target.std() or 1.0
    members = model.decision_path(matrix.astype(np.float32)).tocsc()
    found = []
    stack: list[tuple[int, tuple[Condition, ...]]] = [(0, ())]
    while stack:
        node, conditions = stack.pop()
        if conditions:
            inside = np.zeros(len(target), dtype=bool)
            inside[members[:, [node]].nonzero()[0]] = True
            excess = (target[inside].mean() - mean) * np.sqrt(inside.sum()) / deviation
            found.append((float(excess), conditions, inside))
        if tree.children_left[node] >= 0:
            aspect, value = names[tree.feature[node]]
            for child, holds in ((tree.children_left, False), (tree.children_right, True)):
                stack.append((int(child[node]), (*conditions, Condition(aspect, value, holds))))
    return found


def _overlap(first: Mask, second: Mask) -> float:
    either = int((first | second).sum())
    return int((first & second).sum()) / either if either else 0.0


def _measure(
    of: Predictions,
    features: _Features,
    candidates: Sequence[tuple[Condition, ...]],
    measuring: Mask,
    *,
    settings: config.Evaluate,
    seed: int,
) -> list[Found]:
    place = {name: column for column, name in enumerate(features.names)}
    insides = []
    for conditions in candidates:
        inside = measuring.copy()
        for condition in conditions:
            column = features.matrix[:, place[condition.aspect, condition.value]]
            inside &= column == condition.holds
        insides.append(inside)
    both = [(inside, measuring & ~inside) for inside in insides]
    keep = [
        c for c, sides in enumerate(both) if min(of.patients_in(side) for side in sides) >= _LEAST
    ]
    sides = [both[c] for c in keep]
    drawn = gap_draws(of, sides, settings, seed)
    raw = []
    for number, (inside, outside) in enumerate(sides):
        micro, rest = (_micro(of, mask) for mask in (inside, outside))
        draws = None if drawn is None else intervals.centred(drawn[:, number], micro - rest)
        raw.append((micro, micro - rest, draws))
    p = holm([1.0 if draws is None else intervals.tail_p(draws) for *_, draws in raw])
    return [
        Found(
            conditions=_shortened(candidates[c]),
            n=int(sides[number][0].sum()),
            patients=of.patients_in(sides[number][0]),
            share=float(sides[number][0].sum() / measuring.sum()),
            micro_f1=micro,
            gap=gap,
            gap_interval=None
            if draws is None
            else intervals.percentile(draws, settings.confidence),
            p=None if draws is None else p[number],
            confirmed=draws is not None and gap < 0 and p[number] < 0.05,
        )
        for number, (c, (micro, gap, draws)) in enumerate(zip(keep, raw, strict=True))
    ]


def _shortened(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Without what follows: a record of one department is of no other."""
    one = {of.aspect for of in conditions if of.holds and of.aspect != "word"}
    return tuple(of for of in conditions if of.holds or of.aspect not in one)


def _micro(of: Predictions, mask: Mask) -> float:
    return float(metrics.f1(metrics.count(of.truth[mask], of.predicted[mask]).total()))

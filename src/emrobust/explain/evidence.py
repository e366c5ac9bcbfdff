"""What typically speaks for a label in the training notes, and what of it a note does not say.

A term speaks for a label where the notes with the label state it more often than the others, by
more than chance: the z-score of the log odds ratio over notes. Terms are the lexicon's, under
their formal names, and the dictionary's other words. What a note denies (否认胸痛) or leaves open
is not stated. This is about the training notes, not about the model: what the model would make
of a missing term has to be asked of the model (`emrobust.pipeline.explain` does).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from emrobust import lexicon
from emrobust.explain.units import split
from emrobust.perturb import guards
from emrobust.perturb.tokens import EDGE

# Types of the lexicon that can be a finding.
_FINDINGS = frozenset({"symptom", "sign", "disease", "tcm", "test", "vital", "procedure", "drug"})
_FORWARD = frozenset({"negation", "doubt"})
_BACKWARD = frozenset({"denial", "normal", "question"})
_ENDS = frozenset({EDGE, "turn", "question"})
_LEAST_NOTES = 5
_LEAST_Z = 3.0
_SHORTEST = 2


class Finding(NamedTuple):
    """A term that speaks for a label.

    Attributes:
        term: its formal name, or the word itself.
        ratio: odds of notes with the label to state it, over the others' odds.
        z: of the logarithm of that ratio.
        share: of the notes with the label that state it.
        state: of a note that was asked about: not mentioned, or denied.
    """

    term: str
    ratio: float
    z: float
    share: float
    state: Literal["absent", "denied"] = "absent"


class Mentions(NamedTuple):
    """The terms of a note: stated, and denied or left open."""

    stated: frozenset[str]
    denied: frozenset[str]


def mentions(text: str) -> Mentions:
    """The terms that a note states or denies."""
    ranges = _denials(text)
    stated: set[str] = set()
    denied: set[str] = set()
    for start, end, term in _terms(text):
        inside = any(first <= start and end <= last for first, last in ranges)
        (denied if inside else stated).add(term)
    return Mentions(frozenset(stated), frozenset(denied - stated))


def _terms(text: str) -> Iterable[tuple[int, int, str]]:
    known = lexicon.load()
    taken = np.zeros(len(text) + 1, dtype=bool)
    for match in known.find(text):
        taken[match.start : match.end] = True
        owners = known.owners(match.form)
        if any(owner.type in _FINDINGS for owner in owners):
            name = owners[0].formal if len(owners) == 1 else match.form
            yield match.start, match.end, name
    for start, end in split(text, "word"):
        word = text[start:end].lower()
        if len(word) >= _SHORTEST and word.isalpha() and not taken[start:end].any():
            yield start, end, word


def _denials(text: str) -> list[tuple[int, int]]:
    """Ranges that a cue denies or doubts: to the clause's end, or back to its beginning."""
    found = []
    since = 0
    tokens = guards.facts(text).tokens
    for place, token in enumerate(tokens):
        if token.kind in _FORWARD:
            ends = (t.start for t in tokens[place + 1 :] if t.kind in _ENDS)
            found.append((token.start, next(ends, len(text))))
        elif token.kind in _BACKWARD:
            found.append((since, token.end))
        if token.kind in _ENDS:
            since = token.end
    return found


class Evidence:
    """What the training notes of each label state.

    Args:
        texts: the training notes.
        labels: of each.
        names: the label set.
    """

    def __init__(
        self, texts: Sequence[str], labels: Sequence[Sequence[str]], names: Sequence[str]
    ) -> None:
        self._notes = len(texts)
        self._overall: Counter[str] = Counter()
        self._of: dict[str, Counter[str]] = {name: Counter() for name in names}
        self._size: Counter[str] = Counter()
        for text, of_text in zip(texts, labels, strict=True):
            stated = mentions(text).stated
            self._overall.update(stated)
            for label in of_text:
                self._of[label].update(stated)
                self._size[label] += 1

    def typical(self, label: str) -> list[Finding]:
        """The terms that speak for a label, the surest first."""
        with_label, size = self._of[label], self._size[label]
        rest = self._notes - size
        found = []
        for term, count in with_label.items():
            if count < _LEAST_NOTES:
                continue
            other = self._overall[term] - count
            cells = np.array([count, size - count, other, rest - other]) + 0.5
            ratio = float(np.log(cells[0] * cells[3] / cells[1] / cells[2]))
            z = ratio / float(np.sqrt((1 / cells).sum()))
            if z >= _LEAST_Z:
                found.append(Finding(term, float(np.exp(ratio)), z, count / size))
        return sorted(found, key=lambda of: (-of.z, of.term))

    def missing(self, label: str, text: str, count: int) -> list[Finding]:
        """The surest terms for a label that a note does not state."""
        said = mentions(text)
        found = []
        for finding in self.typical(label):
            if finding.term in said.denied:
                found.append(finding._replace(state="denied"))
            elif finding.term not in said.stated and finding.term not in text:
                found.append(finding)
        return found[:count]

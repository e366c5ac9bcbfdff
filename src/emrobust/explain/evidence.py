"""What typically speaks for a label in the training notes, and what of it a note does not say.

A term speaks for a label where the notes with the label state it more often than the others, by
more than chance: the z-score of the log odds ratio over notes. Terms are the lexicon's, under
their formal names, and the dictionary's other words. What a note denies (否认胸痛) or leaves open
is not stated. This is about the training notes, not about the model: what the model would make
of a missing term has to be asked of the model (`emrobust.pipeline.explain` does).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from emrobust.explain.units import split
from emrobust.perturb import mentions as terms
from emrobust.perturb.mentions import Mentions

_LEAST_NOTES = 5
_LEAST_Z = 3.0


class Finding(NamedTuple):
    """A term that speaks for a label.

    Attributes:
        term: its formal name, or the word itself.
        ratio: odds of notes with the label to state it, over the others' odds.
        z: of the logarithm of that ratio.
        share: of the notes with the label that state it.
        patients: with the label, of whom a note with it states the term.
        state: of a note that was asked about: not mentioned, or denied.
    """

    term: str
    ratio: float
    z: float
    share: float
    patients: int
    state: Literal["absent", "denied"] = "absent"


def mentions(text: str) -> Mentions:
    """The terms that a note states or denies: the lexicon's, and the dictionary's other words."""
    return terms.mentions(text, split(text, "word"))


class Evidence:
    """What the training notes of each label state.

    Args:
        texts: the training notes.
        labels: of each.
        names: the label set.
        patients: whose note each is; absent: every note a patient.
    """

    def __init__(
        self,
        texts: Sequence[str],
        labels: Sequence[Sequence[str]],
        names: Sequence[str],
        patients: Sequence[str] | None = None,
    ) -> None:
        self._notes = len(texts)
        self._overall: Counter[str] = Counter()
        self._of: dict[str, Counter[str]] = {name: Counter() for name in names}
        self._size: Counter[str] = Counter()
        owners = [str(row) for row in range(len(texts))] if patients is None else patients
        said: dict[tuple[str, str], set[str]] = defaultdict(set)
        for text, of_text, owner in zip(texts, labels, owners, strict=True):
            stated = mentions(text).stated
            self._overall.update(stated)
            for label in of_text:
                self._of[label].update(stated)
                self._size[label] += 1
                said[label, owner] |= stated
        self._patients: dict[str, Counter[str]] = {name: Counter() for name in names}
        for (label, _), of_patient in said.items():
            self._patients[label].update(of_patient)

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
                known = self._patients[label][term]
                found.append(Finding(term, float(np.exp(ratio)), z, count / size, known))
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

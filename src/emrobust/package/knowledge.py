"""What a package knows beside its model: typical findings, departments, cases that may be shown.

Everything here was counted in training records, and nothing that fewer patients share than
``least`` (see `emrobust.package.lessons`, which writes it). Cases are records themselves; they
are only there where the project says that anybody may read them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, final

import numpy as np

from emrobust import runs
from emrobust.package import layout, ngrams

_BUCKETS = 1 << 16


class Missing(NamedTuple):
    """A typical finding of a label that a text does not state.

    Attributes:
        term: its formal name, or the word itself.
        share: of the label's training notes that state it.
        state: not mentioned, or denied.
    """

    term: str
    share: float
    state: Literal["absent", "denied"]


class Similar(NamedTuple):
    """A case like the text that was asked about; ``similarity`` from 0 to 1."""

    text: str
    labels: tuple[str, ...]
    similarity: float


class Departments(NamedTuple):
    """Where the records of each label were seen.

    Attributes:
        names: of the departments.
        shares: float64 [labels, departments]; a row sums to at most one, and to 0 where no
            department has enough patients with the label.
    """

    names: tuple[str, ...]
    shares: np.ndarray

    def refer(self, probability: np.ndarray) -> np.ndarray:
        """How likely each department is, float64 [texts, departments]; rows sum to 1, or are 0."""
        summed: np.ndarray = probability @ self.shares
        total = summed.sum(axis=1, keepdims=True)
        return np.asarray(np.divide(summed, total, out=np.zeros_like(summed), where=total > 0))


@final
class Cases:
    """Training records that may be shown, found by the character n-grams they have in common.

    Args:
        texts: of the cases.
        labels: of each.
        language: of the texts.
    """

    def __init__(
        self, texts: Sequence[str], labels: Sequence[Sequence[str]], language: str
    ) -> None:
        self._texts, self._labels, self._language = texts, labels, language
        counted = ngrams.count(texts, _BUCKETS, language)
        present = np.bincount(counted.indices, minlength=_BUCKETS)
        self._weights = np.log((1 + len(texts)) / (1 + present)).astype(np.float32)
        self._known = ngrams.normalise(counted, self._weights)

    def __len__(self) -> int:
        return len(self._texts)

    def similar(self, text: str, most: int) -> list[Similar]:
        """The nearest cases, the nearest first; none that has nothing in common with the text."""
        asked = ngrams.normalise(ngrams.count([text], _BUCKETS, self._language), self._weights)
        cosine = np.asarray((self._known @ asked.T).todense())[:, 0]
        nearest = np.argsort(-cosine, kind="stable")[:most]
        return [
            Similar(self._texts[row], tuple(self._labels[row]), float(min(cosine[row], 1.0)))
            for row in nearest
            if cosine[row] > 0
        ]


def find_missing(
    findings: Sequence[Mapping[str, float | str]], text: str, most: int
) -> list[Missing]:
    """The surest findings that a text does not state."""
    # Loaded when it is first asked for: the lexicon takes a while.
    from emrobust.perturb import mentions  # noqa: PLC0415

    told = [(str(finding["term"]), float(finding["share"])) for finding in findings]
    places = [at.span() for term, _ in told for at in re.finditer(re.escape(term), text)]
    said = mentions.mentions(text, places)
    found = []
    for term, share in told:
        if term in said.denied:
            found.append(Missing(term, share, "denied"))
        elif term not in said.stated and term not in text:
            found.append(Missing(term, share, "absent"))
    return found[:most]


def read_findings(folder: Path) -> dict[str, list[dict[str, float | str]]]:
    """The typical findings of each label, the surest first; empty where none were written."""
    path = folder / layout.FINDINGS
    return dict(runs.read_json(path)["labels"]) if path.is_file() else {}


def read_departments(folder: Path, names: Sequence[str]) -> Departments | None:
    """Of each label, in column order; None where none were written."""
    path = folder / layout.DEPARTMENTS
    if not path.is_file():
        return None
    saved = runs.read_json(path)
    known = tuple(saved["departments"])
    shares = [[saved["labels"].get(name, {}).get(of, 0.0) for of in known] for name in names]
    return Departments(known, np.array(shares, dtype=np.float64).reshape(len(names), len(known)))


def read_cases(folder: Path, language: str) -> Cases | None:
    """The cases; None where the package carries none."""
    path = folder / layout.CASES
    if not path.is_file():
        return None
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return Cases([row["text"] for row in rows], [row["labels"] for row in rows], language)

"""How well spans were found: recall by kind, precision, whole documents, what was taken too much.

A true span is found when every letter and digit of it lies in found spans, of whatever kind: what
matters is that it is gone. A found span is right when every letter and digit of it lies in true
ones; the doctor's name taken for the patient's is right, and counted apart as ``mistaken``.

Marked text writes its truth down: ``患者{patient_name:张三}诉…``, ``⏎`` for a line break.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from emrobust.deid.spans import Span
from emrobust.placeholders import PLACEHOLDERS

_MARK = re.compile(r"\{(\w+):([^{}]*)\}")


class Marked(NamedTuple):
    """A text with its true spans (start, end, kind)."""

    text: str
    truth: tuple[tuple[int, int, str], ...]


def read_marked(path: Path) -> Iterator[Marked]:
    """The marked texts of a file, one a line; lines that begin with ``#`` are comments."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield parse_marked(line)


def parse_marked(line: str) -> Marked:
    """One marked text.

    Raises:
        ValueError: a kind that there is not.
    """
    text, truth, done = "", [], 0
    line = line.replace("⏎", "\n")
    for mark in _MARK.finditer(line):
        if mark[1] not in PLACEHOLDERS:
            raise ValueError(f"there is no kind {mark[1]!r}")
        text += line[done : mark.start()]
        truth.append((len(text), len(text) + len(mark[2]), mark[1]))
        text += mark[2]
        done = mark.end()
    return Marked(text + line[done:], tuple(truth))


class Tally:
    """Counts over texts.

    Attributes:
        true: true spans by kind; found: those of them that were found; mistaken: found of them
            as another kind of identifier.
        taken: found spans by their own kind; wrong: those of them that hold something else.
        documents: texts with a true span; clean: those of them with none left.
        characters: of all texts; excess: characters taken that are no identifier's.
    """

    def __init__(self) -> None:
        self.true: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.mistaken: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.documents = self.clean = self.characters = self.excess = 0

    def add(
        self, text: str, truth: Iterable[tuple[int, int, str]], spans: Sequence[Span]
    ) -> list[tuple[int, int, str]]:
        """Count one text; the true spans that were missed."""
        truth = list(truth)
        covers: list[str | None] = [None] * len(text)
        for span in spans:
            covers[span.start : span.end] = [span.kind] * (span.end - span.start)
        true = bytearray(len(text))
        missed = []
        for start, end, kind in truth:
            true[start:end] = b"\x01" * (end - start)
            self.true[kind] += 1
            if all(covers[at] or not text[at].isalnum() for at in range(start, end)):
                self.found[kind] += 1
                self.mistaken[kind] += family(kind) not in set(map(family, covers[start:end]))
            else:
                missed.append((start, end, kind))
        for span in spans:
            excess = sum(text[at].isalnum() and not true[at] for at in range(span.start, span.end))
            self.taken[span.kind] += 1
            self.wrong[span.kind] += excess > 0
            self.excess += excess
        self.characters += len(text)
        self.documents += bool(truth)
        self.clean += bool(truth) and not missed
        return missed

    def recall(self, *kinds: str) -> float:
        """Share of the true spans of these kinds (all, if none is named) that were found."""
        chosen = kinds or tuple(self.true)
        return _share(sum(self.found[k] for k in chosen), sum(self.true[k] for k in chosen))

    def precision(self, *kinds: str) -> float:
        """Share of the found spans of these kinds that hold identifiers and nothing else."""
        chosen = kinds or tuple(self.taken)
        return 1 - _share(sum(self.wrong[k] for k in chosen), sum(self.taken[k] for k in chosen), 0)

    def figures(self) -> dict[str, Any]:
        """All of it as plain numbers."""
        return {
            "recall": round(self.recall(), 4),
            "precision": round(self.precision(), 4),
            "whole_documents": round(_share(self.clean, self.documents), 4),
            "excess_characters_per_million": round(1e6 * self.excess / max(1, self.characters), 1),
            "by_kind": {
                kind: {
                    "n": self.true[kind],
                    "recall": round(self.recall(kind), 4),
                    "precision": round(self.precision(kind), 4) if self.taken[kind] else None,
                    "mistaken": self.mistaken[kind],
                }
                for kind in sorted(self.true)
            },
        }


def family(kind: str | None) -> str | None:
    """Kinds that a reader doesn't tell apart: whose name it is."""
    return "name" if kind and kind.endswith("_name") else kind


def _share(part: int, whole: int, empty: float = 1.0) -> float:
    return part / whole if whole else empty

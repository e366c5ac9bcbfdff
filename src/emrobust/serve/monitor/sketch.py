"""What is kept of texts and answers: sums over the records of an hour, never one record's own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from emrobust.package.drift import Described, Reference
from emrobust.serve.monitor.level import Floats

# Fewer are not written down.
LEAST = 10
_DECIMALS = 4


@dataclass
class Sketch:
    """Sums over records.

    Attributes:
        rows: how many they are.
        counts: feature → how many fall into each bin.
        sums: space → sum of Fourier features.
    """

    rows: int = 0
    counts: dict[str, Floats] = field(default_factory=dict)
    sums: dict[str, Floats] = field(default_factory=dict)

    def add(self, described: Described, reference: Reference) -> None:
        """Count records in."""
        counts = {name: reference.features[name].count(of) for name, of in described.values.items()}
        sums = {name: of.sum(axis=0) for name, of in described.vectors.items()}
        self.merge(Sketch(len(next(iter(described.values.values()))), counts, sums))

    def merge(self, other: Sketch) -> None:
        """Add another sketch of the same package."""
        self.rows += other.rows
        for own, others in ((self.counts, other.counts), (self.sums, other.sums)):
            for name, of in others.items():
                own[name] = own[name] + of if name in own else of

    def to_json(self) -> str:
        """What is stored."""
        plain = {
            part: {name: of.round(_DECIMALS).tolist() for name, of in sums.items()}
            for part, sums in (("counts", self.counts), ("sums", self.sums))
        }
        return json.dumps(plain, separators=(",", ":"))


def read(rows: int, stored: str) -> Sketch:
    """The sketch that `Sketch.to_json` wrote."""
    plain = json.loads(stored)
    counts = {name: np.array(of) for name, of in plain["counts"].items()}
    return Sketch(rows, counts, {name: np.array(of) for name, of in plain["sums"].items()})


def fits(sketch: Sketch, reference: Reference) -> bool:
    """Whether a sketch was made with this reference, and not with one of an earlier package."""
    return (
        {name: len(of) for name, of in sketch.counts.items()}
        == {name: len(of.counts) for name, of in reference.features.items()}
        and {name: len(of) for name, of in sketch.sums.items()}
        == {name: len(of.mean) for name, of in reference.spaces.items()}
    )  # fmt: skip


def total(sketches: Iterable[Sketch], reference: Reference) -> Sketch:
    """All of them that fit, together."""
    summed = Sketch()
    for sketch in sketches:
        if fits(sketch, reference):
            summed.merge(sketch)
    return summed

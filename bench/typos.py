"""What the step `typos` mends of planted slips, and what it spoils of correct notes.

    python bench/typos.py [--texts 300] [--quick]

Slips are planted into fields of the made-up clinic's notes by the perturbations `homophone` and
`glyph`, with their guards. The step's two thresholds are chosen on the clinic's first block, for
the greatest F0.5 (a wrong correction costs more than a missed one); all figures are of another
block. ``ours`` and ``peer`` are wrong characters in ten thousand, with the step and without it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import NamedTuple

from emrobust import registry
from emrobust.clinic.chart import write_block
from emrobust.clinic.model import build
from emrobust.encoder.scoring import CharacterScorer
from emrobust.normalize.typos import Typos
from emrobust.perturb import apply, perturb

RATES = {"homophone": 0.02, "glyph": 0.02}
GAINS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
FLOORS = (-3.0, -1.5, -0.7, -0.3, -0.1, -0.03)


class Remembered:
    """Asks the model once for each text, however many thresholds are tried."""

    def __init__(self) -> None:
        self.model = CharacterScorer("emrobust/zh-small")
        self.name = self.model.name
        self.known: dict[str, list[list[float]]] = {}

    def __call__(
        self, text: str, places: Sequence[int], characters: Sequence[str]
    ) -> list[list[float]]:
        """See `CharacterScorer`."""
        if text not in self.known:
            self.known[text] = self.model(text, places, characters)
        return self.known[text]


class Pair(NamedTuple):
    """A note as it was, and with slips at the same offsets."""

    right: str
    wrong: str


def plant(block: int, count: int) -> list[Pair]:
    """Notes with slips that replace characters, one for one."""
    slips = [registry.get("perturbation", name)(rate=rate) for name, rate in RATES.items()]
    pairs: list[Pair] = []
    for row in write_block(build(), 12, block).outpatient:
        for text in (str(field) for field in row[7:10]):
            if 60 <= len(text) <= 120 and len(pairs) < count:
                edits = [
                    e
                    for e in perturb(text, slips, block, len(pairs)).edits
                    if e[1] - e[0] == len(e[2])
                ]
                pairs.append(Pair(text, apply(text, edits)))
    return pairs


def measure(pairs: Sequence[Pair], step: Typos) -> dict[str, float]:
    """Precision and recall of the step's corrections, and what it does to correct notes."""
    planted = made = right = spoilt = changed = 0
    for good, bad in pairs:
        planted += sum(a != b for a, b in zip(good, bad, strict=True))
        edits = step.edits(bad)
        made += len(edits)
        right += sum(good[e.start : e.end] == e.text for e in edits)
        spoilt += sum(bad[e.start : e.end] == good[e.start : e.end] for e in edits)
        changed += bool(step.edits(good))
    precision, recall = right / max(made, 1), right / max(planted, 1)
    return {
        "planted": planted,
        "made": made,
        "precision": round(precision, 3),
        "recall": round(recall, 3),
        "spoilt": spoilt,
        "correct_notes_unchanged": round(1 - changed / len(pairs), 3),
        "f05": round(1.25 * precision * recall / max(0.25 * precision + recall, 1e-9), 3),
    }


def main() -> None:
    """Choose the thresholds, measure, and print, last, one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    count = 15 if arguments.quick else arguments.texts
    scorer = Remembered()
    tried = {
        (gain, floor): measure(development, Typos(scorer=scorer, gain=gain, floor=floor))
        for development in (plant(0, count),)
        for gain in GAINS
        for floor in FLOORS
    }
    best = max(tried, key=lambda pair: tried[pair]["f05"])
    test = plant(1, count)
    start = time.process_time()
    found = measure(test, Typos(scorer=scorer, gain=best[0], floor=best[1]))
    seconds = time.process_time() - start
    shipped = measure(test, Typos(scorer=scorer))
    characters = sum(len(pair.right) for pair in test)
    before = found["planted"] / characters * 1e4
    gained = found["precision"] * found["made"] - found["spoilt"]
    after = (found["planted"] - gained) / characters * 1e4
    print(
        json.dumps(
            {
                "name": "typos",
                "ours": round(after, 1),
                "peer": round(before, 1),
                "ratio": round(before / after, 2),
                "unit": "wrong characters in 10,000",
                "gain": best[0],
                "floor": best[1],
                "chosen": found,
                "shipped": shipped,
                "development": tried[best],
                "notes": count,
                "notes_per_second": round(2 * count / seconds, 1),
            }
        )
    )


if __name__ == "__main__":
    main()

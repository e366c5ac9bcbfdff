"""What the normaliser does to macro-F1 of TF-IDF on the clinic: clean, noisy, at other sites.

    python bench/normalize.py [--records 20000] [--seeds 3] [--terms] [--quick]

noisy    test texts with abbreviations (lexicon partition `test`, which no step was tuned on),
         changed widths and template residue, each by `emrobust.perturb` with its guards; this
         is `ours` (with) and `peer` (without).
sites    trained at the main site, tested at the others, who write in their own ways.
single   noisy macro-F1 gained by each step on its own.
speed    notes a second of all rule steps on one core, per 100 characters.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from emrobust import clinic, config, records, registry
from emrobust.config import Project
from emrobust.labels import read_label_set
from emrobust.normalize import Normalizer
from emrobust.perturb import Perturbation, perturb_all
from emrobust.pipeline.prepare import LABELS, prepare
from emrobust.train import estimators
from emrobust.train import run as training

RULES = tuple(name for name in registry.names("normalizer") if name not in ("terms", "typos"))
NOISE: dict[str, dict[str, Any]] = {
    "abbreviation": {"rate": 0.6, "direction": "abbreviate", "use": "test"},
    "width": {"rate": 0.3},
    "template": {"rate": 0.2, "heading": 0.5},
}
QUICK_RECORDS = 1_000


def make_noise() -> list[Perturbation]:
    return [registry.get("perturbation", name)(**values) for name, values in NOISE.items()]


class Table:
    """A prepared clinic: its rows by split, and test texts with noise."""

    def __init__(self, project: Project, folder: Path) -> None:
        prepare(project, folder)
        self.project = project
        self.label_set = read_label_set(folder / LABELS / training.LABELS)
        rows = training.read_rows(folder / LABELS / records.FILE)
        split = np.array(rows.split)
        self.parts = {name: rows.take(np.flatnonzero(split == name)) for name in records.SPLITS}
        test = self.parts["test"]
        noisy = perturb_all(test.texts, make_noise(), project.seed, test.record_id)
        self.tests = {"clean": test.texts, "noisy": [one.text for one in noisy]}

    def score(self, steps: Sequence[str]) -> dict[str, float]:
        """Macro-F1 on each kind of test texts of a model that reads through these steps."""
        train, validation, test = (self.parts[name] for name in records.SPLITS)
        wanted = config.Normalize(**{name: name in steps for name in (*RULES, "terms")})
        project = self.project.model_copy(update={"normalize": wanted})
        model = estimators.build(project, self.label_set.names)
        truth = training.targets(self.label_set, test)
        model.fit(
            train.texts,
            training.targets(self.label_set, train),
            validation=(validation.texts, training.targets(self.label_set, validation)),
        )
        seen = truth.any(0)
        return {
            kind: float(
                f1_score(
                    truth[:, seen], model.predict(texts)[:, seen], average="macro", zero_division=0
                )
            )
            for kind, texts in self.tests.items()
        }


def measure(
    records_: int, seed: int, steps: Sequence[str], *, single: bool
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Scores without and with the steps for one clinic, and its test texts."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clinic.generate(folder, records_, seed, formats=("sqlite",), workers=1)
        sites = 'split.test_sites=["城东院区", "社区中心"]'
        tables = {
            "own": Table(config.load(folder / clinic.PROJECT, [f"seed={seed}"]), folder / "own"),
            "sites": Table(
                config.load(folder / clinic.PROJECT, [f"seed={seed}", "split.by=site", sites]),
                folder / "sites",
            ),
        }
        scores: dict[str, dict[str, float]] = {}
        for name, chosen in (("without", ()), ("with", tuple(steps))):
            of = tables["own"].score(chosen)
            scores[name] = {**of, "sites": tables["sites"].score(chosen)["clean"]}
        if single:
            for step in steps:
                scores[step] = tables["own"].score((step,))
        return scores, tables["own"].parts["train"].texts


def speed(texts: Sequence[str], repeats: int) -> float:
    """Notes of 100 characters a second of processor time, median."""
    normalizer = Normalizer(RULES)
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        normalizer(texts)
        taken.append(time.process_time() - start)
    return sum(map(len, texts)) / 100 / statistics.median(taken)


def main() -> None:
    """Run every seed and print, last, one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--terms", action="store_true", help="the step `terms` too")
    parser.add_argument("--single", action="store_true", help="each step on its own too")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    count = QUICK_RECORDS if arguments.quick else arguments.records
    steps = (*RULES, "terms") if arguments.terms else RULES
    by_seed: list[dict[str, dict[str, float]]] = []
    texts: list[str] = []
    for seed in range(1, 2 if arguments.quick else arguments.seeds + 1):
        scores, texts = measure(count, seed, steps, single=arguments.single)
        by_seed.append(scores)
        print(f"seed {seed}: {json.dumps(scores)}", flush=True)

    def mean(name: str, kind: str) -> float:
        return statistics.mean(scores[name][kind] for scores in by_seed)

    print(
        json.dumps(
            {
                "name": "normalize",
                "ours": mean("with", "noisy"),
                "peer": mean("without", "noisy"),
                "ratio": mean("with", "noisy") / mean("without", "noisy"),
                "unit": "macro-F1 of TF-IDF on noisy test texts",
                "clean": {name: mean(name, "clean") for name in ("without", "with")},
                "sites": {name: mean(name, "sites") for name in ("without", "with")},
                "by_seed": by_seed,
                "steps": steps,
                "notes_per_second": round(speed(texts[:2_000], 1 if arguments.quick else 5)),
                "records": count,
            },
            ensure_ascii=False,
        )
    )


if __name__ == "__main__":
    main()

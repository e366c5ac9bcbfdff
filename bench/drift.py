"""How often monitoring rings for nothing, and how often it notices what has changed.

    python bench/drift.py [--records 24000] [--windows 300] [--quick]

A TextCNN learns the clinic's main site, before 2021. Its validation records are the reference; test
records of other patients are the days on which nothing has changed. Windows of 200, 500 and 1,000
records are drawn from these. In others a tenth, a quarter or all of the records have changed: they
are of the two other sites, of later visits to the main site, or test records with typing noise of
severity 3.

* ours: the service's own checks of texts and answers (PSI with its sampling, MMD, Holm): an alarm,
  or at least a watch, in any of them.
* peer: the usual rule, an alarm where any feature's PSI is .25 or more, a watch from .1.
* ks: Kolmogorov-Smirnov's test of each feature at 1 %, without correction.

``ours`` and ``peer`` are the mean share of changes noticed (watch) less the share of false ones,
the mean of all sizes. The rules see the same features; the vectors (MMD) are ours alone. Visits of
the main site hardly change over the years, so nobody should notice ``later``: it is left out there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import ks_2samp

from emrobust import clinic, config, package, records
from emrobust.evaluate.suites import plan
from emrobust.package import lessons
from emrobust.package.drift import Described, Reference
from emrobust.perturb import perturb_all
from emrobust.pipeline.export import export
from emrobust.pipeline.prepare import LABELS, prepare
from emrobust.pipeline.train import train
from emrobust.serve.monitor import drift
from emrobust.serve.monitor.level import Limits
from emrobust.serve.monitor.sketch import Sketch

SIZES = (200, 500, 1000)
SHARES = (0.1, 0.25, 1.0)
PSI = Limits(0.1, 0.25)
KS_P = 0.01
SITE, YEAR = "本部", "2021"
SETTINGS = (
    "model.name=textcnn", "model.width=32", "model.filters=32", "train.epochs=3",
    "train.learning_rate=0.005", "labels.top=20", "split.validation=0.25", "split.test=0.35",
    "evaluate.bootstrap=0", "evaluate.suites=[]",
)  # fmt: skip
FALSE = "nothing"
QUIET = (FALSE, "later")  # no changes that should be noticed
SEVERITY = "3"
CHANGES = {
    "branch": f"site = '城东院区' AND visit_time < '{YEAR}'",
    "community": f"site = '社区中心' AND visit_time < '{YEAR}'",
    "later": f"site = '{SITE}' AND visit_time >= '{YEAR}'",
}


class Rung(NamedTuple):
    """Whether each rule found an alarm, and whether it found at least a watch."""

    ours: tuple[bool, bool]
    peer: tuple[bool, bool]
    ks: bool


def make_project(folder: Path, where: str) -> config.Project:
    """The clinic's project, of some of its visits."""
    made = config.load(folder / "project.toml", SETTINGS)
    source = made.source.model_copy(
        update={
            "path": None,
            "table": None,
            "url": f"sqlite:///{folder / 'hospital.db'}",
            "query": f"SELECT * FROM outpatient WHERE {where}",  # noqa: S608 - written below
        }
    )
    truth = made.evaluate.model_copy(update={"truth": None})
    return made.model_copy(update={"source": source, "evaluate": truth})


def read_texts(folder: Path, where: str, scratch: Path) -> list[str]:
    """All texts of some visits."""
    prepare(make_project(folder, where), scratch)
    path = scratch / LABELS / records.FILE
    return [text for split in records.SPLITS for text in lessons.read(path, split).texts]


def describe(loaded: package.Package, reference: Reference, texts: list[str]) -> Described:
    """Features of texts, as the service computes them."""
    return reference.describe(texts, loaded.predict_proba(texts))


def look(window: Described, before: Mapping[str, np.ndarray], reference: Reference) -> Rung:
    """What each rule says of a window."""
    sketch = Sketch()
    sketch.add(window, reference)
    levels = {
        of.level
        for of in (
            *drift.compare_features(sketch, reference, PSI),
            *drift.compare_vectors(sketch, reference),
        )
    }
    sizes = [
        drift.compare_counts(sketch.counts[name], histogram)[0]
        for name, histogram in reference.features.items()
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ties, of which it warns
        p = min(ks_2samp(of, before[name]).pvalue for name, of in window.values.items())
    return Rung(
        ("alarm" in levels, bool({"alarm", "watch"} & levels)),
        (max(sizes) >= PSI.alarm, max(sizes) >= PSI.watch),
        bool(p < KS_P),
    )


def take(given: Described, rows: np.ndarray) -> Described:
    """Some of the records."""
    return Described(
        {name: of[rows] for name, of in given.values.items()},
        {name: of[rows] for name, of in given.vectors.items()},
    )


def draw(
    random: np.random.Generator, calm: Described, changed: Described, size: int, share: float
) -> Described:
    """A window of which a share has changed."""
    many = round(share * size)
    parts = [
        take(pool, random.permutation(count_rows(pool))[:rows])
        for pool, rows in ((calm, size - many), (changed, many))
    ]
    return Described(
        {name: np.concatenate([of.values[name] for of in parts]) for name in calm.values},
        {name: np.concatenate([of.vectors[name] for of in parts]) for name in calm.vectors},
    )


def count_rows(pool: Described) -> int:
    """How many records a pool has."""
    return len(pool.values["length"])


def measure(
    pools: Mapping[str, Described], rung: Callable[[Described], Rung], windows: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Size → change → share of windows in which each rule rang."""
    random = np.random.default_rng(20260101)
    calm = pools[FALSE]
    cases = [(FALSE, calm, 0.0)]
    cases += [(f"{n} {s:.0%}", of, s) for n, of in pools.items() if n != FALSE for s in SHARES]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for size in SIZES:
        if size > count_rows(calm):
            continue
        found[str(size)] = {}
        for name, pool, share in cases:
            if share * size > count_rows(pool):
                continue
            rungs = [rung(draw(random, calm, pool, size, share)) for _ in range(windows)]
            found[str(size)][name] = {
                "ours_alarm": statistics.fmean(of.ours[0] for of in rungs),
                "ours_watch": statistics.fmean(of.ours[1] for of in rungs),
                "peer_alarm": statistics.fmean(of.peer[0] for of in rungs),
                "peer_watch": statistics.fmean(of.peer[1] for of in rungs),
                "ks": statistics.fmean(of.ks for of in rungs),
            }
    return found


def net(found: Mapping[str, Mapping[str, Mapping[str, float]]], rule: str) -> float:
    """Mean share of changes noticed, less the share of false ones."""
    return statistics.fmean(
        statistics.fmean(of[rule] for name, of in sized.items() if not name.startswith(QUIET))
        - sized[FALSE][rule]
        for sized in found.values()
    )


def run(visits: int, windows: int, folder: Path) -> dict[str, Any]:
    """Train, export, draw and count."""
    clinic.generate(folder / "clinic", visits, 20260101, workers=1, formats=("sqlite",))
    here = f"site = '{SITE}' AND visit_time < '{YEAR}'"
    train(make_project(folder / "clinic", here), folder / "run")
    export(folder / "run", folder / "package")
    loaded = package.load(folder / "package", threads=1, precision="fp32")
    reference = loaded.drift
    assert reference is not None  # noqa: S101 - it was just written
    path = folder / "run" / "data" / LABELS / records.FILE
    calm = lessons.read(path, "test").texts
    noise = plan.perturbations(SEVERITY, "zh")
    texts = {
        FALSE: calm,
        "noise": [of.text for of in perturb_all(calm, noise, 7, range(len(calm)))],
        **{
            name: read_texts(folder / "clinic", where, folder / name)
            for name, where in CHANGES.items()
        },
    }
    pools = {name: describe(loaded, reference, of) for name, of in texts.items()}
    before = describe(loaded, reference, lessons.read(path, "validation").texts).values
    found = measure(pools, lambda window: look(window, before, reference), windows)
    ours, peer = net(found, "ours_watch"), net(found, "peer_watch")
    return {
        "name": "drift",
        "ours": round(ours, 4),
        "peer": round(peer, 4),
        "ratio": round(ours / max(peer, 0.01), 4),
        "unit": "share of changes noticed less false ones",
        "reference": reference.rows,
        "pools": {name: len(of) for name, of in texts.items()},
        "windows": windows,
        "rang": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=24_000)
    parser.add_argument("--windows", type=int, default=300)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    visits, windows = (4000, 20) if given.quick else (given.records, given.windows)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(visits, windows, Path(folder)), ensure_ascii=False))


if __name__ == "__main__":
    main()

"""Coverage of prediction sets on random splits of a run's test patients.

    bench/conformal.py [--run RUN] [--target 0.9] [--splits 10] [--calibrate N] [--quick]

Each split gives half of the patients, or ``--calibrate`` of them, to calibration and measures the
others. ``ours`` is the distance of the mean coverage over all splits from the target, in
percentage points; ``worst`` is that of the worst split, which no method can hold small where few
patients are measured. The peer is the plain quantile: the cut that holds the target's share of
the true labels of the calibrating records, label by label, without a correction and without
regard to patients. ``ratio`` is the peer's distance over ours. Without ``--run`` a TF-IDF model
is trained on a made-up clinic.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from emrobust import clinic, config, rng
from emrobust.evaluate import run as evaluation
from emrobust.evaluate.calibration import Guarantee, control, measure_sets
from emrobust.evaluate.predictions import Predictions
from emrobust.pipeline.train import train
from emrobust.train import run as training


def train_one(folder: Path, visits: int) -> Path:
    """A run of TF-IDF on a made-up clinic, half of whose patients are only tested."""
    clinic.generate(folder / "clinic", visits, 20260101, workers=1, formats=("sqlite",))
    given = ["split.test=0.5", "evaluate.bootstrap=0", "deid.accept_identifiers=true"]
    project = config.load(folder / "clinic" / clinic.PROJECT, given)
    train(project, folder / "run")
    return folder / "run"


def take(given: Predictions, chosen: np.ndarray) -> Predictions:
    """The records of some patients."""
    rows = np.flatnonzero(chosen[given.patient])
    _, patient = np.unique(given.patient[rows], return_inverse=True)
    return replace(
        given,
        truth=given.truth[rows],
        probability=given.probability[rows],
        predicted=given.predicted[rows],
        patient=patient,
        patients=int(patient.max()) + 1,
    )


def plain_quantile(given: Predictions, target: float) -> Guarantee:
    """The peer's cut."""
    of_true = given.probability[given.truth.astype(bool)]
    return Guarantee(target, float(np.quantile(of_true, 1 - target)), given.patients)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--target", type=float, default=0.9)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--calibrate", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = given.run or train_one(Path(folder), 3000 if given.quick else 20_000)
        test = evaluation.read(training.load(path)).predictions
    found: dict[str, list[float]] = {"ours": [], "peer": []}
    sizes: dict[str, list[float]] = {"ours": [], "peer": []}
    for split in range(given.splits):
        place = rng.generator(split, "conformal").permutation(test.patients)
        first = place < (given.calibrate or test.patients // 2)
        calibrating, measured = take(test, first), take(test, ~first)
        for side, of in (("ours", control), ("peer", plain_quantile)):
            sets = measure_sets(measured, of(calibrating, given.target))
            found[side].append(sets.coverage)
            sizes[side].append(sets.mean)
    mean = {side: float(np.mean(of)) for side, of in found.items()}
    off = {side: abs(one - given.target) * 100 for side, one in mean.items()}
    worst = {side: float(np.abs(np.array(of) - given.target).max()) for side, of in found.items()}
    print(
        json.dumps(
            {
                "name": "conformal",
                "ours": round(off["ours"], 3),
                "peer": round(off["peer"], 3),
                "ratio": round(off["peer"] / max(off["ours"], 1e-9), 2),
                "unit": "percentage points of mean coverage from the target",
                "target": given.target,
                "splits": given.splits,
                "patients": test.patients,
                "coverage": {side: [round(one, 4) for one in of] for side, of in found.items()},
                "mean": {side: round(one, 4) for side, one in mean.items()},
                "worst": {side: round(one * 100, 2) for side, one in worst.items()},
                "labels_a_set": {side: round(float(np.mean(of)), 2) for side, of in sizes.items()},
            }
        )
    )


if __name__ == "__main__":
    main()

"""Whether the explanation that is shown by default tells more than attention and than chance.

Trains a network with attention on the clinic (or takes ``--run`` and its ``--data``), chooses the
method on validation records and measures all on test records: comprehensiveness and sufficiency
with intervals by patient. Ours is the chosen method, the peer last-layer attention.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from emrobust import clinic, config
from emrobust.evaluate.faithfulness import ATTENTION, FaithfulnessReport
from emrobust.pipeline.explain import Wishes, explain
from emrobust.pipeline.prepare import prepare
from emrobust.pipeline.train import train

_QUICK = [
    "model.name=bilstm", "model.width=48", "model.hidden=48", "train.epochs=5",
    "train.learning_rate=0.01", "labels.top=5", "evaluate.bootstrap=200",
]  # fmt: skip
_WHOLE = [
    "model.name=transformer", "train.adversary=none", "train.epochs=4", "train.learning_rate=5e-4",
    "train.layer_decay=0.9", "train.batch_size=16",
]  # fmt: skip


def trained(folder: Path, count: int, settings: list[str]) -> tuple[Path, Path]:
    """A run on the clinic, and its prepared folder."""
    clinic.generate(folder / "clinic", count, 20260101, workers=1, formats=("sqlite",))
    project = config.load(folder / "clinic" / clinic.PROJECT, settings)
    prepare(project, folder / "data")
    train(project, folder / "run", folder / "data")
    return folder / "run", folder / "data"


def figures(report: FaithfulnessReport) -> dict[str, object]:
    """Ours and the peer's comprehensiveness, and everything beside it."""
    ours, peer = report.of(report.chosen), report.of(ATTENTION)
    value, other = ours.comprehensiveness.value, peer.comprehensiveness.value
    return {
        "name": "comprehensiveness of the explanation shown",
        "ours": value,
        "peer": other,
        "ratio": value / max(other, 1e-3),
        "unit": "fall of the probability",
        "report": report.to_json(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--level", choices=("word", "character"), default="word")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run, data = given.run, given.data
        if run is None:
            count, settings = (900, _QUICK) if given.quick else (given.records, _WHOLE)
            run, data = trained(Path(scratch), count, settings)
        wishes = Wishes(errors=1, sample=20 if given.quick else given.sample, level=given.level)
        done = explain(run, Path(scratch) / "pages", wishes, data)
    if done.faithfulness is None:
        raise SystemExit("nothing was measured")
    print(json.dumps(figures(done.faithfulness)))


if __name__ == "__main__":
    main()

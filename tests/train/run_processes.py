"""Run by test_processes, in one process or in several: trains, then writes what it has learned.

Arguments: path of the tasks, folder to write to. All tasks are done in one start, since the start
takes longer than they do.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

from emrobust.models.network import save_weights
from emrobust.train import NeuralClassifier
from emrobust.train.processes import Processes


def do(name: str, given: dict[str, Any], out: Path) -> None:
    """Train one task's classifier; the first process writes its weights and facts."""
    accumulate = given["parts"] // Processes().count
    model = NeuralClassifier(**given["classifier"], accumulate=accumulate, precision="fp32", seed=3)
    held = (given["texts"][:20], given["targets"][:20])
    model.fit(given["texts"], given["targets"], held, out / f"{name}.checkpoints")
    if Processes().leads:
        steps = model.history_[-1]["step"]
        facts = {"loss": [row["loss"] for row in model.history_], "steps": steps}
        (out / f"{name}.json").write_text(json.dumps(facts))
        save_weights(model.network_.state_dict(), out / f"{name}.safetensors")


torch.set_num_threads(1)
for task, given in json.loads(Path(sys.argv[1]).read_text()).items():
    do(task, given, Path(sys.argv[2]))

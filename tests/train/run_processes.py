"""Run by test_processes, in one process or in several: trains, then writes what it has learned.

Arguments: path of the task, file to write.
"""

import json
import sys
from pathlib import Path

import torch

from emrobust.models.network import save_weights
from emrobust.train import NeuralClassifier
from emrobust.train.processes import Processes

given = json.loads(Path(sys.argv[1]).read_text())
torch.set_num_threads(1)
accumulate = given["parts"] // Processes().count
model = NeuralClassifier(**given["classifier"], accumulate=accumulate, precision="fp32", seed=3)
held = (given["texts"][:20], given["targets"][:20])
model.fit(given["texts"], given["targets"], held, Path(sys.argv[2]).with_suffix(".checkpoints"))
if Processes().leads:
    facts = {"loss": [row["loss"] for row in model.history_], "steps": model.history_[-1]["step"]}
    Path(sys.argv[2]).with_suffix(".json").write_text(json.dumps(facts))
    save_weights(model.network_.state_dict(), Path(sys.argv[2]))

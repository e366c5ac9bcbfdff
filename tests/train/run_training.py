"""Run by test_resume in a process that may be killed: trains, then writes the model.

Globals given: TASK, path of the task; READY, an event that is set when the work begins.
"""

import json
from pathlib import Path

import torch

from emrobust.train import NeuralClassifier

given = json.loads(Path(TASK).read_text())  # noqa: F821 - given
torch.set_num_threads(1)
model = NeuralClassifier(
    given["network"],
    network_settings=given["settings"],
    epochs=given["epochs"],
    learning_rate=1e-3,
    layer_decay=0.8,
    batch_size=8,
    precision="auto",
    checkpoint_seconds=0.02,
    adversary=given["adversary"],
    augment=given["augment"],
    seed=3,
)
READY.set()  # noqa: F821 - given
held = (given["texts"][:40], given["targets"][:40])
model.fit(given["texts"], given["targets"], held, Path(given["checkpoints"]))
model.save(Path(given["out"]))

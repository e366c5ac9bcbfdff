"""Two processes make the steps of one process that takes as many batches a step."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from emrobust.models.network import load_weights
from emrobust.train import NeuralClassifier
from emrobust.train.processes import Processes

SCRIPT = Path(__file__).with_name("run_processes.py")
AUGMENT = {
    "probability": 1.0, "rules": 0.5, "masked_lm": 0.0, "back_translation": 0.0, "mixup": 0.5,
    "perturbations": [{"name": "deletion"}], "workers": 1,
}  # fmt: skip


def launch(processes: int, tasks: Path, out: Path) -> None:
    """Train in processes of one thread each, so that every sum is added up in the same order."""
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone",
         "--nproc_per_node", str(processes), SCRIPT, tasks, out],
        capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def compare(folder: Path, easy, classifiers: dict[str, dict], parts: int = 2) -> None:
    texts, _, matrix = easy(100)  # 13 batches: one is left over for the last step
    data = {"texts": texts, "targets": matrix.tolist(), "parts": parts}
    usual = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3}
    given = {name: {**data, "classifier": usual | one} for name, one in classifiers.items()}
    tasks = folder / "tasks.json"
    tasks.write_text(json.dumps(given))
    for count in (1, 2):
        launch(count, tasks, folder / str(count))
    for name in classifiers:
        one, two = (load_weights(folder / f"{count}/{name}.safetensors") for count in (1, 2))
        assert all(torch.equal(one[key], two[key]) for key in one), name
        facts = [json.loads((folder / f"{count}/{name}.json").read_text()) for count in (1, 2)]
        assert facts[0] == facts[1], name
        assert facts[0]["steps"] == 2 * -(-13 // parts), name


@pytest.mark.slow
def test_two_processes_learn_the_same_as_one(easy, bert, tmp_path):
    adversaries = (None, "smart", "partial_fgm", "freelb_as_written", "vat")
    small = {"network": "textcnn", "network_settings": {"width": 8}}
    classifiers = {
        str(name): {**small, "adversary": name and {"name": name, "warmup_steps": 0}}
        for name in adversaries
    }
    classifiers["freelb and mixup"] = {
        "network": "transformer", "network_settings": {"checkpoint": str(bert)},
        "adversary": {"name": "freelb", "warmup_steps": 2}, "augment": AUGMENT,
    }  # fmt: skip
    compare(tmp_path, easy, classifiers)


def test_a_step_of_several_batches_takes_the_mean_of_their_gradients(monkeypatch):
    """Texts that are all alike give one gradient, however many batches a step has."""
    norms: dict[int, list[float]] = {}
    clip = torch.nn.utils.clip_grad_norm_
    for accumulate in (1, 2):
        seen = norms.setdefault(accumulate, [])

        def look(*given, seen=seen) -> torch.Tensor:
            norm = clip(*given)
            seen.append(float(norm))
            return norm

        monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", look)
        rows = 18  # the last step has one batch
        NeuralClassifier(
            "textcnn", {"width": 8, "dropout": 0.0, "min_count": 1}, "multi",
            epochs=1, batch_size=4 // accumulate, accumulate=accumulate, precision="fp32",
        ).fit(["头痛三天"] * rows, [[1, 0]] * rows)  # fmt: skip
    assert len(norms[1]) == 5
    assert norms[2] == pytest.approx(norms[1], rel=1e-5)


def test_every_batch_is_taken_once(monkeypatch):
    monkeypatch.setattr(Processes, "__init__", lambda _: None)
    for count, start, end in [(1, 0, 4), (2, 4, 8), (3, 0, 4), (4, 8, 10)]:
        taken, counted = [], []
        for index in range(count):
            processes = Processes()
            processes.count, processes.index = count, index
            share = processes.share(start, end)
            assert share
            taken.append(share)
            counted += [] if processes.idle(start, end) else share
        assert sorted(counted) == list(range(start, end))
        assert max(map(len, taken)) == -(-(end - start) // count)

"""Killed at any moment and started again, training ends with the same bits."""

import json
import multiprocessing
import runpy
import shutil
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from emrobust import rng
from emrobust.errors import RunError
from emrobust.train import NeuralClassifier

SCRIPT = Path(__file__).with_name("run_training.py")
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["emrobust.train", "emrobust.models.transformer"])
NETWORKS = ("textcnn", "transformer")


# Of everything that gives other texts or batches; the worker dies with its training.
AUGMENT = {
    "probability": 1.0, "rules": 0.5, "masked_lm": 0.3, "back_translation": 0.0, "mixup": 0.2,
    "perturbations": [{"name": "deletion"}, {"name": "swap"}], "workers": 1,
}  # fmt: skip


def write_task(
    folder: Path, network: str, easy, bert: Path, epochs: int, *, masked_lm: Path | None = None
) -> Path:
    texts, _, matrix = easy(400)
    settings = {"checkpoint": str(bert)} if network == "transformer" else {"width": 16}
    task = {
        "network": network,
        "settings": settings,
        "epochs": epochs,
        # SMART keeps a running average of the weights from one step to the next.
        "adversary": {"name": "smart", "warmup_steps": 9} if network == "textcnn" else None,
        "augment": {**AUGMENT, "checkpoint": str(masked_lm)} if masked_lm else None,
        "texts": texts,
        "targets": matrix.tolist(),
        "checkpoints": str(folder / "checkpoints"),
        "out": str(folder / "out"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "task.json"
    path.write_text(json.dumps(task))
    return path


def start(task: Path) -> BaseProcess:
    """A process of its own that has imported everything already; returns when it begins."""
    ready = SERVER.Event()
    given = {"init_globals": {"TASK": str(task), "READY": ready}, "run_name": "__main__"}
    process = SERVER.Process(target=runpy.run_path, args=(str(SCRIPT),), kwargs=given)
    process.start()
    assert ready.wait(120)
    return process


def finish(task: Path) -> float:
    """Let it come to its end; the seconds it took."""
    process, began = start(task), time.monotonic()
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - began


def kill_after(task: Path, seconds: float) -> float | None:
    """Start, kill after so long; the seconds it took where it came to its end before."""
    process, began = start(task), time.monotonic()
    process.join(seconds)
    lasted = time.monotonic() - began
    process.kill()
    process.join()
    return None if process.exitcode == -signal.SIGKILL else lasted


def weights(task: Path) -> bytes:
    return (task.parent / "out" / "network" / "weights.safetensors").read_bytes()


def interrupt(
    network, easy, bert, tmp_path, *, kills: int, epochs: int, masked_lm: Path | None = None
) -> None:
    whole = write_task(tmp_path / "whole", network, easy, bert, epochs, masked_lm=masked_lm)
    lasts = finish(whole)
    broken = write_task(tmp_path / "broken", network, easy, bert, epochs, masked_lm=masked_lm)
    moment = rng.generator(0, network)
    killed = resumable = 0
    # A kill before the first checkpoint shows little, so at least one comes after it.
    while killed < kills or (not resumable and killed < kills + 20):
        lasted = kill_after(broken, moment.uniform(0.1, 0.7) * lasts)
        if lasted is None:
            killed += 1
            resumable += (broken.parent / "checkpoints").is_dir()
        else:  # it came to its end: begin anew, there are moments left to try
            assert weights(broken) == weights(whole)
            lasts = min(lasts, lasted)  # the first time it had to wait for the disk
            shutil.rmtree(broken.parent / "out")
            shutil.rmtree(broken.parent / "checkpoints")
    assert resumable  # else nothing was tested
    finish(broken)
    assert weights(broken) == weights(whole)
    left = list((broken.parent / "checkpoints").iterdir())
    assert 1 <= len(left) <= 2


@pytest.mark.parametrize("network", NETWORKS)
def test_killed_training_ends_with_the_same_bits(network, easy, bert, tmp_path):
    interrupt(network, easy, bert, tmp_path, kills=3, epochs=4)


def test_killed_training_on_augmented_texts_ends_with_the_same_bits(
    easy, bert, random_encoder, tmp_path
):
    masked_lm = random_encoder(tmp_path / "masked_lm", heads=True)
    interrupt("textcnn", easy, bert, tmp_path, kills=1, epochs=3, masked_lm=masked_lm)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("network", NETWORKS)
def test_killed_at_thirty_random_moments(network, easy, bert, tmp_path):
    interrupt(network, easy, bert, tmp_path, kills=15, epochs=6)


def fit(easy, folder: Path, **settings) -> NeuralClassifier:
    texts, names, _ = easy(64)
    model = NeuralClassifier(epochs=2, network_settings={"width": 8}, batch_size=8, **settings)
    return model.fit(texts, names, (texts, names), folder)


def test_a_finished_training_is_not_repeated(easy, tmp_path):
    first = fit(easy, tmp_path)
    again = fit(easy, tmp_path)
    assert again.history_ == first.history_
    assert (again.predict_proba(["咳嗽"]) == first.predict_proba(["咳嗽"])).all()


@pytest.mark.parametrize("damage", ["changed", "missing", "cut"])
def test_a_broken_checkpoint_falls_back_to_the_one_before(damage, easy, tmp_path):
    expected = fit(easy, tmp_path / "whole").predict_proba(["咳嗽"])
    fit(easy, tmp_path / "broken")
    checkpoints = sorted((tmp_path / "broken").iterdir())
    assert len(checkpoints) == 2
    victim = checkpoints[-1] / "weights.safetensors"
    content = bytearray(victim.read_bytes())
    if damage == "missing":
        victim.unlink()
    else:
        content[-1] ^= 1
        victim.write_bytes(content if damage == "changed" else content[:-100])
    assert (fit(easy, tmp_path / "broken").predict_proba(["咳嗽"]) == expected).all()


def test_without_any_whole_checkpoint_it_begins_anew(easy, tmp_path):
    expected = fit(easy, tmp_path).predict_proba(["咳嗽"])
    for state in tmp_path.glob("*/state.json"):
        state.write_text("{")
    assert (fit(easy, tmp_path).predict_proba(["咳嗽"]) == expected).all()


@pytest.mark.parametrize("change", [{"learning_rate": 0.1}, {"seed": 9}, {"batch_size": 4}])
def test_checkpoints_of_other_settings_are_refused(change, easy, tmp_path):
    fit(easy, tmp_path)
    with pytest.raises(RunError, match="delete the folder"):
        texts, names, _ = easy(64)
        values = {"epochs": 2, "network_settings": {"width": 8}, "batch_size": 8, **change}
        NeuralClassifier(**values).fit(texts, names, (texts, names), tmp_path)


def test_checkpoints_of_other_data_are_refused(easy, tmp_path):
    fit(easy, tmp_path)
    texts, names, _ = easy(64, seed=1)
    model = NeuralClassifier(epochs=2, network_settings={"width": 8}, batch_size=8)
    with pytest.raises(RunError, match="training data"):
        model.fit(texts, names, (texts, names), tmp_path)

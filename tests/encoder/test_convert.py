"""Pickle checkpoints: rewritten when they are plain tensors, else refused."""

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from emrobust.cli.app import app
from emrobust.encoder import checkpoint
from emrobust.encoder.convert import convert
from emrobust.errors import ModelError


class Malicious:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


@pytest.fixture
def pickled(bert, tmp_path) -> Path:
    """A folder as the hub's older ones are, its embeddings tied to another name."""
    folder = tmp_path / "pickled"
    shutil.copytree(bert, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["cls.predictions.decoder.weight"] = tensors["embeddings.word_embeddings.weight"]
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    (folder / "own.py").write_text("raise SystemExit")
    return folder


def test_tensors_tokenizer_and_configuration_arrive(pickled, bert, tmp_path):
    target = tmp_path / "new" / "safe"
    before = load_file(bert / "model.safetensors")
    assert convert(pickled, target) == len(before) + 1
    after = load_file(target / "model.safetensors")
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert {file.suffix for file in target.iterdir()} == {".json", ".safetensors"}
    tokenizer, encoder = checkpoint.read(checkpoint.locate(str(target)))
    assert len(tokenizer) == encoder.config.vocab_size
    with pytest.raises(ModelError, match="not empty"):
        convert(pickled, target)


def test_numbered_parts_are_joined(pickled, bert, tmp_path):
    tensors = torch.load(pickled / "pytorch_model.bin", weights_only=True)
    (pickled / "pytorch_model.bin").unlink()
    (pickled / "pytorch_model.bin.index.json").write_text("{}")
    for part in (0, 1):
        chosen = {name: tensors[name] for name in list(tensors)[part::2]}
        torch.save(chosen, pickled / f"pytorch_model-0000{part + 1}-of-00002.bin")
    assert convert(pickled, tmp_path / "safe") == len(tensors)
    assert not list((tmp_path / "safe").glob("*.index.json"))


def spoil(folder: Path, what: str, trap: Path) -> None:
    path = folder / "pytorch_model.bin"
    tensors = torch.load(path, weights_only=True)
    saved = {
        "malicious": {**tensors, "trap": Malicious(trap)},
        "network": torch.nn.Linear(2, 2),
        "array": {**tensors, "array": np.zeros(2)},
        "number": {**tensors, "step": 3},
        "list": list(tensors.values()),
        "sparse": {**tensors, "sparse": torch.eye(2).to_sparse()},
    }
    written = {
        "old malicious": pickle.dumps(Malicious(trap)),
        "cut": path.read_bytes()[:5000],
        "empty": b"",
    }
    if what in saved:
        torch.save(saved[what], path)
    elif what in written:
        path.write_bytes(written[what])
    elif what == "archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("note.txt", "no weights")
    elif what == "other encoder":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 7}))
    else:
        path.unlink()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("malicious", "asks for code"),
        ("old malicious", "asks for code"),
        ("network", "asks for code"),
        ("array", "refused"),
        ("number", "more than plain tensors"),
        ("list", "no table of tensors"),
        ("sparse", "more than plain tensors"),
        ("cut", "refused"),
        ("empty", "refused"),
        ("archive", "refused"),
        ("other encoder", "lacks"),
        ("absent", r"no pytorch_model\.bin"),
    ],
)
def test_anything_else_is_refused_and_nothing_is_run_or_written(what, says, pickled, tmp_path):
    trap, target = tmp_path / "trap", tmp_path / "safe"
    spoil(pickled, what, trap)
    with pytest.raises(ModelError, match=says):
        convert(pickled, target)
    assert {path.name for path in tmp_path.iterdir()} == {"pickled"}


def test_the_trap_would_snap(tmp_path):
    """Else the test above would show nothing."""
    trap = tmp_path / "trap"
    pickle.loads(pickle.dumps(Malicious(trap)))  # noqa: S301 - our own, two lines above
    assert trap.is_dir()


def test_the_command_tells_what_it_wrote(pickled, tmp_path):
    target = tmp_path / "safe"
    done = CliRunner().invoke(app, ["convert", str(pickled), "--out", str(target)])
    assert done.exit_code == 0, done.output
    assert "tensors in" in done.output
    assert (target / "model.safetensors").is_file()

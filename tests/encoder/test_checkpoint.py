"""Encoders from the package, from folders and by name; and why one cannot be used."""

import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from emrobust.encoder import checkpoint
from emrobust.errors import ModelError

CONFIGS = {
    "decoder": {"model_type": "gpt2"},
    "unknown kind": {"model_type": "nonsense"},
    "code of its own": {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}},
    "other size": {"num_hidden_layers": 5},
    "small vocabulary": {"vocab_size": 9},
    "large vocabulary": {"vocab_size": 900},
}


def spoil(folder: Path, what: str) -> None:
    config, weights = folder / "config.json", folder / "model.safetensors"
    if what in CONFIGS:
        config.write_text(json.dumps({**json.loads(config.read_text()), **CONFIGS[what]}))
    elif what == "no kind":
        config.write_text(json.dumps({"hidden_size": 32}))
    elif what == "no config":
        config.unlink()
    elif what == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    elif what == "no weights":
        weights.unlink()
    elif what == "pickle only":
        weights.rename(folder / "pytorch_model.bin")
    elif what == "damaged":
        weights.write_bytes(b"\x00" * 100)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("no config", "config.json"),
        ("no kind", "model_type"),
        ("no tokenizer", "no tokenizer"),
        ("no weights", "no model.safetensors"),
        ("pickle only", "emrobust convert"),
        ("damaged", "cannot be read"),
        ("decoder", "no text encoder"),
        ("unknown kind", "transformers knows"),
        ("code of its own", "transformers knows"),
        ("other size", "lacks"),
        ("small vocabulary", "the encoder 9"),
        ("large vocabulary", "the encoder 900"),
    ],
)
def test_unusable_folders_are_refused_with_advice(what, says, bert, tmp_path):
    folder = tmp_path / "checkpoint"
    shutil.copytree(bert, folder)
    spoil(folder, what)
    with pytest.raises(ModelError, match=says):
        checkpoint.read(folder)


def test_half_precision_is_read_as_single(bert, tmp_path, capfd):
    folder = tmp_path / "half"
    shutil.copytree(bert, folder)
    halves = {name: value.half() for name, value in load_file(bert / "model.safetensors").items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    before = torch.get_rng_state()
    _, encoder = checkpoint.read(folder)
    table = encoder.get_input_embeddings().weight
    assert {value.dtype for value in encoder.state_dict().values()} == {torch.float32}
    assert torch.equal(table, halves["embeddings.word_embeddings.weight"].float())
    assert torch.equal(before, torch.get_rng_state())
    assert capfd.readouterr().err == ""


def test_a_folder_with_a_word_list_alone(bert, tmp_path):
    """As older checkpoints are: no tokenizer.json, no tokenizer_config.json."""
    folder = tmp_path / "old"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(bert / name, folder)
    known, _ = checkpoint.read(bert)
    words = sorted(known.get_vocab(), key=known.get_vocab().get)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    tokenizer, _ = checkpoint.read(folder)
    assert tokenizer("咳嗽，流涕")["input_ids"] == known("咳嗽，流涕")["input_ids"]


def test_a_missing_folder_is_named():
    with pytest.raises(ModelError, match="does not exist"):
        checkpoint.locate("./no/such/folder")


def test_a_hub_cache_with_the_configuration_alone_is_not_enough(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "snapshot_download", lambda *_, **__: str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    shutil.copy(bert / "config.json", tmp_path)
    with pytest.raises(ModelError, match="hf download some/encoder"):
        checkpoint.locate("some/encoder")
    shutil.copy(bert / "model.safetensors", tmp_path)
    assert checkpoint.locate("some/encoder") == tmp_path


@pytest.mark.parametrize("offline", ["1", "0"])
def test_a_hub_name_without_network_fails_soon_and_says_what_to_do(offline, monkeypatch):
    # A port of loopback where nothing listens stands for a hub that cannot be reached.
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(checkpoint, "ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(ModelError, match="hf download nobody/no-such-encoder"):
        checkpoint.locate("nobody/no-such-encoder")
    assert time.monotonic() - started < 20

"""Checkpoints from folders and by name, good ones and unusable ones."""

import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from emrobust import registry
from emrobust.errors import ModelError


def build(folder, **settings):
    checked = registry.settings("model", "transformer", {"checkpoint": str(folder), **settings})
    return registry.get("model", "transformer").new([], 3, checked)


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra"])
def test_states_equal_those_of_transformers_own_model(kind, random_encoder, tmp_path):
    random_encoder(tmp_path, kind)
    network = build(tmp_path).eval()
    given = AutoTokenizer.from_pretrained(tmp_path)(
        ["咳嗽流涕", "胸闷"], padding=True, return_tensors="pt"
    )
    ids, mask = given["input_ids"], given["attention_mask"]
    expected = AutoModel.from_pretrained(tmp_path).eval()(input_ids=ids, attention_mask=mask)
    seen = []
    network.encoder.register_forward_hook(lambda *a: seen.append(a[2].last_hidden_state))
    network(ids, mask.bool())
    kept = mask.bool()
    torch.testing.assert_close(seen[0][kept], expected.last_hidden_state[kept])


def test_attention_in_training_is_softmax_attention(bert):
    network = build(bert, dropout=0.0)
    for module in network.modules():
        if hasattr(module, "p"):
            module.p = 1e-9  # rounds to no dropout, yet takes the path of training
    ids = torch.tensor([[2, 7, 8, 3, 0], [2, 9, 3, 0, 0]])
    torch.testing.assert_close(network.train()(ids, ids > 0), network.eval()(ids, ids > 0))


def test_long_texts_are_cut_to_the_checkpoints_positions(random_encoder, tmp_path):
    network = build(random_encoder(tmp_path, "roberta"))
    assert network.first_position == 1
    rows = network.encode(["咳" * 300], 512)
    assert len(rows[0]) == 65  # 66 positions, the first is padding's
    network(torch.tensor(rows), torch.ones(1, 65, dtype=torch.bool))


@pytest.mark.parametrize("pooling", ["cls", "mean", "cls+mean"])
def test_pooling(bert, pooling):
    assert build(bert, pooling=pooling).head.in_features == (64 if "+" in pooling else 32)


CONFIGS = {
    "decoder": {"model_type": "gpt2"},
    "unknown kind": {"model_type": "nonsense"},
    "other size": {"num_hidden_layers": 5},
    "small vocabulary": {"vocab_size": 9},
}


def spoil(folder: Path, what: str) -> None:
    config, weights = folder / "config.json", folder / "model.safetensors"
    if what in CONFIGS:
        config.write_text(json.dumps({**json.loads(config.read_text()), **CONFIGS[what]}))
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
        ("no tokenizer", "no tokenizer"),
        ("no weights", "no model.safetensors"),
        ("pickle only", "pickle"),
        ("damaged", "cannot be read"),
        ("decoder", "no text encoder"),
        ("unknown kind", "transformers knows"),
        ("other size", "lacks"),
        ("small vocabulary", "only 9"),
    ],
)
def test_unusable_folders_are_refused_with_advice(what, says, bert, tmp_path):
    folder = tmp_path / "checkpoint"
    shutil.copytree(bert, folder)
    spoil(folder, what)
    with pytest.raises(ModelError, match=says):
        build(folder)


def test_a_missing_folder_is_named():
    with pytest.raises(ModelError, match="does not exist"):
        build("./no/such/folder")


@pytest.mark.parametrize("offline", ["1", "0"])
def test_a_hub_name_without_network_fails_soon_and_says_what_to_do(offline, monkeypatch):
    # A port of loopback where nothing listens stands for a hub that cannot be reached.
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("emrobust.models.checkpoint.ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(ModelError, match="hf download nobody/no-such-encoder"):
        build("nobody/no-such-encoder")
    assert time.monotonic() - started < 20

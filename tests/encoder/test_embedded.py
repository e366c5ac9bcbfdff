"""The encoder in the package, by its name and by transformers' own classes."""

import os
import subprocess
import sys

import pytest

from emrobust import registry
from emrobust.encoder import checkpoint, embedded
from emrobust.errors import ModelError

CARRIED = (embedded._ROOM / "zh-small" / "model.safetensors").is_file()


def test_the_name_means_the_folder_in_the_package(random_encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "_ROOM", tmp_path)
    with pytest.raises(ModelError, match="without its encoder"):
        checkpoint.locate(embedded.NAME)
    folder = random_encoder(tmp_path / "zh-small", heads=True)
    assert checkpoint.locate(embedded.NAME) == embedded.folder() == folder
    component = registry.get("model", "transformer")
    network = component.new(["咳嗽"], 3, registry.settings("model", "transformer", {}))
    assert network.settings["checkpoint"] == embedded.NAME
    assert network.encoder.config.num_hidden_layers == 2


def test_a_wrong_name_is_never_asked_of_the_hub():
    with pytest.raises(ModelError, match="Did you mean `emrobust/zh-small`"):
        checkpoint.locate("emrobust/zh-smal")


@pytest.mark.skipif(not CARRIED, reason="the weights are not in this working tree")
def test_transformers_own_classes_read_it_without_network():
    script = """
import socket
def refuse(*_, **__):
    raise AssertionError("the network was asked")
socket.socket.connect = refuse
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer
from emrobust.encoder.embedded import folder
tokenizer = AutoTokenizer.from_pretrained(folder())
given = tokenizer("患者咳嗽[MASK]天", return_tensors="pt")
for family in (AutoModel, AutoModelForMaskedLM):
    model, report = family.from_pretrained(folder(), dtype="float32", output_loading_info=True)
    assert not {n for n in report["missing_keys"] if "pooler" not in n}, report
    assert model.eval()(**given)[0].isfinite().all()
assert sum(p.numel() for p in model.parameters()) <= 9_000_000
assert sum(f.stat().st_size for f in folder().iterdir()) <= 18_000_000
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "0"},
    )
    assert done.returncode == 0, done.stderr

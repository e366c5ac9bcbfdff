"""What the loop and the adversaries rely on, for every registered network."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from emrobust import registry
from emrobust.errors import ConfigError, RunError
from emrobust.models import network as networks
from emrobust.models.network import Network

NAMES = [n for n in registry.names("model") if issubclass(registry.get("model", n), Network)]


@pytest.fixture(params=NAMES)
def network(request, easy, bert) -> Network:
    given = {"checkpoint": str(bert)} if request.param == "transformer" else {}
    settings = registry.settings("model", request.param, given)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return registry.get("model", request.param).new(easy(50)[0], 3, settings).eval()


def padded(network: Network, texts: list[str], length: int = 0):
    rows = network.encode(texts, 40)
    length = max(length, *map(len, rows))
    ids = torch.tensor([row + [network.pad] * (length - len(row)) for row in rows])
    mask = torch.tensor([[place < len(row) for place in range(length)] for row in rows])
    return ids, mask


def test_padding_never_changes_a_rows_logits(network):
    texts = ["咳嗽", "腹痛三天，今日加重伴呕吐", ""]
    together = network(*padded(network, texts, 50))
    alone = torch.cat([network(*padded(network, [text])) for text in texts])
    torch.testing.assert_close(together, alone, atol=2e-6, rtol=1e-5)


def test_embeddings_can_be_given_and_perturbed(network):
    ids, mask = padded(network, ["胸闷心悸", "皮疹"])
    shift = torch.zeros_like(network.embed(ids)).requires_grad_()
    logits = network(ids, mask, network.embed(ids) + shift)
    torch.testing.assert_close(logits, network(ids, mask))
    logits.square().sum().backward()
    assert shift.grad[mask].abs().sum() > 0
    assert shift.grad[~mask].abs().max() < 1e-6
    assert next(p for p in network.parameters() if p.shape[1:] == shift.shape[2:]).grad.any()


def test_dropout_follows_from_its_seed_alone(network):
    ids, mask = padded(network, ["咳嗽流涕三天", "腹痛"])
    network.train()

    def logits(seed):
        network.seed_dropout(seed)
        return network(ids, mask)

    first = logits(5)
    other = logits(6)
    assert torch.equal(first, logits(5))
    assert not torch.equal(first, other)


def test_saved_and_loaded_gives_the_same_bits(network, tmp_path: Path):
    network.save(tmp_path)
    ids, mask = padded(network, ["咳嗽🙂", "unknown words 12"])
    again = networks.load(tmp_path)
    assert again.encode(["胸闷 abc"], 9) == network.encode(["胸闷 abc"], 9)
    assert torch.equal(again(ids, mask), network(ids, mask))
    assert not [f for f in tmp_path.rglob("*") if f.suffix in {".bin", ".pt", ".pkl"}]


def test_a_damaged_folder_is_refused(network, tmp_path: Path):
    network.save(tmp_path)
    (tmp_path / networks.WEIGHTS).write_bytes(b"not safetensors")
    with pytest.raises(RunError, match="missing or damaged"):
        networks.load(tmp_path)


def test_it_begins_at_the_base_rate(network):
    targets = np.zeros((200, 3))
    targets[:20, 0], targets[:100, 1] = 1, 1
    torch.nn.init.zeros_(network.head.weight)
    network.set_prior(targets, exclusive=False)
    chances = network(*padded(network, ["咳嗽"])).sigmoid()[0]
    np.testing.assert_allclose(chances.detach(), [0.102, 0.5, 0.0025], atol=3e-3)


def test_settings_are_checked_by_the_signature(network):
    name = type(network).__module__.rpartition(".")[2]
    kinds = inspect.signature(type(network)).parameters.values()
    assert {p.name for p in kinds if p.kind is p.KEYWORD_ONLY} == set(network.settings)
    with pytest.raises(ConfigError, match="dropout"):
        registry.settings("model", name, {"dropuot": 0.1, "checkpoint": "x"})


def test_length_is_bounded_and_a_blank_text_is_a_token(network):
    rows = network.encode(["", "  ", "咳" * 500], 16)
    assert all(rows)
    assert [len(row) <= 16 for row in rows] == [True] * 3

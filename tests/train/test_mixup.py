"""MixUp: lines between embeddings and between targets, for texts of any lengths."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from emrobust import registry, rng
from emrobust.errors import ConfigError
from emrobust.train import adversaries, losses, mixup
from emrobust.train.batches import Batch
from emrobust.train.mixup import Pairs
from emrobust.train.steps import Evaluate, clean_step


@pytest.fixture
def network(easy):
    settings = registry.settings("model", "textcnn", {"width": 8, "filters": 4})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return registry.get("model", "textcnn").new(easy(40)[0], 3, settings).eval()


def batch_of(*lengths: int) -> Batch:
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    ids = torch.where(mask, 3 + torch.arange(max(lengths)), 0)
    targets = torch.eye(3)[: len(lengths)].repeat(len(lengths), 1)[: len(lengths)]
    return Batch(ids, mask, targets)


def test_texts_of_unequal_lengths_meet_on_a_line():
    batch = batch_of(4, 2)
    embeddings = torch.arange(16.0).reshape(2, 4, 2) + 1  # padding has a vector too
    pairs = Pairs(torch.tensor([1, 0]), torch.tensor([0.75, 0.25]))
    mixed = mixup.mix_embeddings(embeddings, batch.mask, pairs)
    expected = torch.tensor([[[3.0, 4.0], [5.0, 6.0], [3.75, 4.5], [5.25, 6.0]]] * 2)
    torch.testing.assert_close(mixed, expected)
    given = mixup.mix_batch(batch, pairs)
    assert given.mask.all()
    torch.testing.assert_close(given.targets, torch.tensor([[0.75, 0.25, 0.0]] * 2))


def test_partners_are_others_and_shares_follow_the_beta_distribution():
    pairs = mixup.pair(4000, rng.generator(0, "test"), 0.4)
    places = torch.arange(4000)
    assert (pairs.partners != places).all()
    assert torch.equal(pairs.partners.sort().values, places)
    assert float(pairs.shares.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(pairs.shares.var()) == pytest.approx(1 / (4 * 1.8), abs=0.01)


def test_a_single_text_stays_as_it_is(network):
    batch = batch_of(3)
    pairs = mixup.pair(1, rng.generator(0, "test"))
    embeddings = network.embed(batch.ids)
    torch.testing.assert_close(mixup.mix_embeddings(embeddings, batch.mask, pairs), embeddings)
    mixed = mixup.mix_batch(batch, pairs)
    assert torch.equal(mixed.mask, batch.mask)
    torch.testing.assert_close(mixed.targets, batch.targets)


def test_mixed_embeddings_reach_their_table(network):
    batch = batch_of(4, 2, 3)
    pairs = mixup.pair(3, rng.generator(0, "test"))
    mixup.mix_embeddings(network.embed(batch.ids), batch.mask, pairs).sum().backward()
    gradient = network.embedding.weight.grad.sum(1)
    assert (gradient[3:7] > 0).all()
    assert not gradient[:3].any()


@pytest.mark.parametrize("task", ["multi", "single"])
@pytest.mark.parametrize("name", [None, *registry.names("adversary")])
def test_it_goes_with_every_adversary(name, task, network, easy):
    network.train()
    given = {"name": name, "warmup_steps": 0}
    step = mixup.MixUp(clean_step if name is None else adversaries.make(given))
    batch = batch_of(4, 2, 3)
    evaluate = Evaluate(network, batch, losses.make(task), seed=1)
    loss = step(network, batch, evaluate)
    assert torch.isfinite(loss)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    network.zero_grad()
    again = step(network, batch, evaluate)
    if name != "smart":  # it remembers the step before
        assert torch.equal(loss, again)


def test_batches_that_are_not_chosen_stay_plain(network):
    batch = batch_of(4, 2)
    evaluate = Evaluate(network, batch, losses.make("multi"), seed=1, step=4)
    step = mixup.MixUp(clean_step, chooses=lambda number: number != 4)
    assert torch.equal(step(network, batch, evaluate), evaluate().detach())
    mixed = mixup.MixUp(clean_step)(network, batch, evaluate)
    assert not torch.equal(mixed, evaluate().detach())
    assert evaluate.notes.means() == {"mixed": 0.5}


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_alpha_must_be_positive(alpha):
    with pytest.raises(ConfigError, match="above 0"):
        mixup.pair(2, np.random.default_rng(0), alpha)

"""Each loss against its paper's formula, with numbers that were worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from emrobust import registry
from emrobust.errors import ConfigError, ModelError
from emrobust.train import NeuralClassifier, losses

LN2, LN3, LN5 = math.log(2), math.log(3), math.log(5)
# Three labels with chances of 3/4, 1/4 and 1/2; the first and the last are there.
MULTI = torch.tensor([[LN3, -LN3, 0.0]]), torch.tensor([[1.0, 0.0, 1.0]])
# Three classes with chances of 1/8, 2/8 and 5/8; it is the second.
SINGLE = torch.tensor([[0.0, LN2, LN5]]), torch.tensor([[0.0, 1.0, 0.0]])
# 2, 5 and 10 of 20 training rows have the labels.
TARGETS = (np.arange(20)[:, None] < np.array([2, 5, 10])).astype(np.uint8)
ALL = [
    (name, task)
    for name in registry.names("loss")
    for task in ("multi", "single")
    if task in registry.get("loss", name).tasks
]


@pytest.mark.parametrize(
    ("name", "task", "settings", "expected"),
    [
        # (ln 4/3 + ln 4/3 + ln 2) / 3
        ("bce", "multi", {}, 0.4228371),
        # ln 4
        ("cross_entropy", "single", {}, 1.3862944),
        # (0.25² ln 4/3 + 0.25² ln 4/3 + 0.5² ln 2) / 3
        ("focal", "multi", {}, 0.0697490),
        ("focal", "multi", {"gamma": 0.0}, 0.4228371),
        # the same terms times 1/4, 3/4 and 1/4
        ("focal", "multi", {"balance": 0.25}, 0.0204339),
        # 0.75² ln 4
        ("focal", "single", {}, 0.7797906),
        # 0.4228371 + 0.0697490, and 2 · 0.4228371 + 0.5 · 0.0697490
        ("bce_focal", "multi", {}, 0.4925861),
        ("bce_focal", "multi", {"bce_weight": 2.0, "focal_weight": 0.5}, 0.8805487),
        # targets 0.95, 0.05, 0.95
        ("label_smoothing", "multi", {}, 0.4594575),
        # targets 1/30, 28/30, 1/30
        ("label_smoothing", "single", {}, 1.3788562),
        # (1 − 0.9)/(1 − 0.9ⁿ) is 0.5263, 0.2442, 0.1535, at a mean of 1: 1.7087, 0.7928, 0.4985
        ("class_balanced", "multi", {"beta": 0.9}, 0.3550519),
        ("class_balanced", "multi", {"beta": 0.9, "gamma": 2.0}, 0.0437850),
        ("class_balanced", "multi", {"beta": 0.0}, 0.4228371),
        ("class_balanced", "single", {"beta": 0.9}, 1.0990552),
        # 0.25 ln 4/3 + (0.25 − 0.05)⁴ ln 1/0.8 + 0.5 ln 2
        ("asymmetric", "multi", {}, 0.4188511),
        ("asymmetric", "multi", {"reduction": "mean"}, 0.1396170),
        # weights 0.1 + σ(10 (r − 0.9)), r = 1/2 : 1/5 : 1/10 over 1/2 + 1/10
        ("distribution_balanced", "multi", {"gamma": 0.0}, 0.0712028),
        ("distribution_balanced", "multi", {}, 0.0092325),
        # 1 : 2 : 5 times 2.5 : 5.5 : 10.5, so the second has one in six
        ("logit_adjusted", "single", {}, 1.7917595),
        ("logit_adjusted", "single", {"tau": 0.0}, 1.3862944),
        # odds 3, 1/3 and 1 times 2.5/18.5, 5.5/15.5 and 1
        ("logit_adjusted", "multi", {}, 0.6827107),
    ],
)
def test_the_formula(name, task, settings, expected):
    loss = losses.make(task, given={"name": name, **settings}, targets=TARGETS)
    logits, targets = MULTI if task == "multi" else SINGLE
    assert float(loss(logits, targets)) == pytest.approx(expected, abs=2e-7, rel=2e-6)


@pytest.mark.parametrize(("name", "task"), ALL)
def test_sound_at_the_edges(name, task):
    """Labels without rows, rows without labels, certain logits, soft targets, any batch size."""
    training = np.zeros((30, 5), dtype=np.uint8)
    training[:, 0], training[:3, 1], training[:1, 2] = 1, 1, 1
    loss = losses.make(task, given={"name": name}, targets=training)
    logits = torch.tensor([[0.0, 90.0, -90.0, 1.0, -1.0]] * 3).requires_grad_()
    hard = torch.zeros(3, 5)
    hard[1, 1], hard[2, 2] = 1, 1
    soft = torch.tensor([[0.3, 0.1, 0.0, 0.2, 0.4]] * 3)
    for targets in (hard, soft):
        value = loss(logits, targets)
        (slope,) = torch.autograd.grad(value, logits)
        assert value.ndim == 0
        assert torch.isfinite(value)
        assert torch.isfinite(slope).all()
        assert value >= 0
        doubled = loss(logits.repeat(2, 1), targets.repeat(2, 1))
        torch.testing.assert_close(doubled, value)
    half = loss(logits.detach().bfloat16(), soft)
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(value.detach()), rel=1e-2)


@pytest.mark.parametrize(("name", "task"), ALL)
def test_the_default_loss_falls_when_the_truth_gains(name, task):
    loss = losses.make(task, given={"name": name}, targets=TARGETS)
    _, targets = MULTI if task == "multi" else SINGLE
    steps = [float(loss(strength * (2 * targets - 1), targets)) for strength in (0, 0.5, 1, 2)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > steps[-1] + 1e-3


def test_a_rarer_label_weighs_more_where_the_loss_says_so():
    for name in ("class_balanced", "distribution_balanced"):
        loss = losses.make("multi", given={"name": name, "gamma": 0.0}, targets=TARGETS)
        logits = torch.zeros(1, 3, requires_grad=True)
        loss(logits, torch.ones(1, 3)).backward()
        assert logits.grad[0, 0] < logits.grad[0, 1] < logits.grad[0, 2] < 0


def test_smoothing_goes_with_any_loss_once():
    soft = losses.make("multi", 0.1, {"name": "focal"}, TARGETS)
    logits, targets = MULTI
    plain = losses.make("multi", given={"name": "focal"})
    torch.testing.assert_close(soft(logits, targets), plain(logits, targets * 0.9 + 0.05))
    with pytest.raises(ConfigError, match="twice"):
        losses.make("multi", 0.1, {"name": "label_smoothing"})
    # Softened zeros would count as labels of the row, and the re-balancing would be gone.
    with pytest.raises(ConfigError, match="weighs a row"):
        losses.make("multi", 0.1, {"name": "distribution_balanced"}, np.eye(2))


def test_wrong_losses_are_named():
    for task, given, says in (
        ("single", {"name": "bce"}, "Losses that are: class_balanced, cross_entropy"),
        ("multi", {"name": "cross_entropy"}, "not for multi-label"),
        ("multi", {"name": "fokal"}, "Did you mean `focal`"),
        ("multi", {"name": "focal", "gamma": -1}, "loss.gamma"),
        ("multi", {"name": "class_balanced", "beta": 1.0}, "loss.beta"),
        ("single", {"name": "focal", "balance": 0.5}, "class_balanced"),
    ):
        with pytest.raises(ConfigError, match=says):
            losses.make(task, given=given)
    with pytest.raises(ModelError, match="training targets"):
        losses.make("multi", given={"name": "distribution_balanced"})


@pytest.mark.parametrize("name", ["distribution_balanced", "logit_adjusted", "class_balanced"])
def test_what_a_loss_knows_of_frequencies_stays_in_training(name, easy):
    texts, _, matrix = easy(60)
    matrix = np.hstack([matrix, np.zeros((60, 1), int)])  # a label that no row has
    model = NeuralClassifier(network_settings={"width": 8}, epochs=1, loss=name, batch_size=16)
    chances = model.fit(texts, matrix, (texts, matrix)).predict_proba(texts)
    assert np.isfinite(chances).all()
    tokens = model._tokens(texts[:1])
    ids, mask = torch.tensor([tokens.flat.tolist()]), torch.ones(1, len(tokens.flat), dtype=bool)
    logits = model.network_(ids, mask)
    np.testing.assert_allclose(logits.sigmoid().detach()[0], chances[0], atol=1e-5)

"""A frozen encoder's features with logistic regression."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from emrobust import config
from emrobust.errors import ConfigError
from emrobust.models.embedding import Embedding
from emrobust.models.thresholds import macro_f1
from emrobust.train import build, load


def make(bert, **settings) -> Embedding:
    return Embedding(checkpoint=str(bert), **settings)


def test_it_learns_both_tasks_and_its_folder_is_self_contained(easy, random_encoder, tmp_path):
    bert = random_encoder(tmp_path / "bert")
    texts, names, matrix = easy(300)
    unseen, unseen_names, unseen_matrix = easy(100, seed=1)
    odd = [*unseen, "", "unknown 🙂"]
    chances = {}
    for kind, y in (("single", names), ("multi", matrix)):
        model = make(bert).fit(texts[50:], y[50:], (texts[:50], y[:50]))
        chances[kind] = model.predict_proba(odd)
        assert chances[kind].shape == (102, 4)
        if kind == "single":
            # Chance is 0.25; the encoder's weights are random and only 32 wide.
            assert f1_score(unseen_names, model.predict(unseen), average="macro") > 0.75
            np.testing.assert_allclose(chances[kind].sum(1), 1, rtol=1e-5)
        else:
            assert macro_f1(unseen_matrix, model.predict(unseen)) > 0.8
        model.save(tmp_path / kind)
    bert.rename(tmp_path / "gone")
    for kind, expected in chances.items():
        again = load(tmp_path / kind)
        assert isinstance(again, Embedding)
        assert (again.predict_proba(odd) == expected).all()
        files = [file for file in (tmp_path / kind).rglob("*") if file.is_file()]
        assert {file.suffix for file in files} == {".json", ".safetensors"}


def test_it_is_logistic_regression_of_the_standardised_features(bert, easy):
    texts, names, _ = easy(120)
    model = make(bert, inverse_penalty=5.0, max_iterations=2000).fit(texts, names)
    features = model._run(texts, model._features)
    scaler = StandardScaler().fit(features)
    scaled = scaler.transform(features) / np.sqrt(features.shape[1])
    peer = LogisticRegression(C=5.0, tol=1e-8, max_iter=5000).fit(scaled, names)
    np.testing.assert_allclose(model.predict_proba(texts), peer.predict_proba(scaled), atol=5e-3)


def test_the_encoder_is_left_as_it_was(bert, easy):
    texts, names, _ = easy(60)
    model = make(bert).fit(texts, names)
    before = load_file(bert / "model.safetensors")
    after = model.network_.encoder.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.items() if name in before)


def test_a_label_that_never_occurs_gets_its_base_rate(bert, easy):
    texts, _, matrix = easy(100)
    never, always = np.zeros((100, 1), int), np.ones((100, 1), int)
    model = make(bert).fit(texts, np.hstack([matrix, never, always]))
    chances = model.predict_proba(["咳嗽", "别的"])
    np.testing.assert_allclose(chances[:, 4], 0.5 / 101, rtol=1e-4)
    np.testing.assert_allclose(chances[:, 5], 100.5 / 101, rtol=1e-4)
    assert model.predict_proba([]).shape == (0, 6)


def test_build_from_a_project_and_clone(bert):
    source = {"path": "t.csv", "columns": {"record_id": "id", "text": ["t"]}}
    section = {"name": "embedding", "checkpoint": str(bert), "layers": 3}
    values = {"source": source, "train": {"thresholds": "global"}, "model": section}
    model = build(config.parse(values), ["b", "a"])
    assert isinstance(model, Embedding)
    assert (model.layers, model.thresholds, model.classes) == (3, "global", ["b", "a"])
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(ConfigError, match="pooling"):
        build(config.parse({**values, "model": {**section, "poling": "cls"}}), ["a"])

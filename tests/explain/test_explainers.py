"""Every method on every kind of model: right places, right words, and nothing left changed."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import DistilBertConfig, DistilBertModel

from emrobust import explain, registry
from emrobust.errors import ConfigError, ModelError
from emrobust.explain.explainer import beginning, network_of, read
from emrobust.explain.integrated_gradients import label_score
from emrobust.models.tfidf import Tfidf
from emrobust.normalize import Normalizer
from emrobust.train.classifier import NeuralClassifier

NAMES = sorted(registry.names("explainer"))
CLASSES = ["cold", "stomach", "heart", "skin"]
PLANTED = {"cold": "咳嗽流涕", "stomach": "腹痛腹泻", "heart": "胸闷心悸", "skin": "皮疹瘙痒"}
KINDS = ("tfidf", "textcnn", "bilstm", "transformer")
ASKS = {"occlusion", "integrated_gradients"}


@pytest.fixture(scope="module")
def models(easy, bert):
    texts, _, matrix = easy(300)
    settings = {
        "textcnn": {"width": 32, "filters": 32},
        "bilstm": {"width": 32, "hidden": 32},
        "transformer": {"checkpoint": str(bert)},
    }
    made = {"tfidf": Tfidf(classes=CLASSES, longest=2).fit(texts, matrix)}
    for name, values in settings.items():
        model = NeuralClassifier(
            name, values, classes=CLASSES, epochs=6, learning_rate=5e-3, precision="fp32"
        )
        made[name] = model.fit(texts, matrix)
    return made


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_method_scores_every_unit_or_says_why_not(models, easy, name, kind):
    model, explainer = models[kind], explain.make(name)
    texts = [*easy(6, seed=1)[0], "", " 咳 "]
    if explainer.refuses(model):
        with pytest.raises(ModelError, match="occlusion"):
            explain.explain(explainer, model, texts, [0] * len(texts))
        assert name not in explain.available(model)
        return
    before = model.predict_proba(texts)
    for level in ("word", "character"):
        found = explain.explain(explainer, model, texts, [0] * len(texts), level)
        for text, of in zip(texts, found, strict=True):
            assert list(of.units) == explain.split(text, level)
            assert of.scores.shape == (len(of.units),)
            assert np.isfinite(of.scores).all()
            assert explainer.signed or (of.scores >= 0).all()
    assert np.array_equal(model.predict_proba(texts), before)


def test_attention_that_cannot_be_seen_is_refused(easy, bert, tmp_path):
    texts, _, matrix = easy(20)
    folder = shutil.copytree(bert, tmp_path / "distilled")
    vocabulary = json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    (folder / "model.safetensors").unlink()
    config = DistilBertConfig(vocab_size=vocabulary, dim=32, hidden_dim=64, n_layers=1, n_heads=2)
    DistilBertModel(config).save_pretrained(folder)
    model = NeuralClassifier(
        "transformer", {"checkpoint": str(folder)}, classes=CLASSES, epochs=1, precision="fp32"
    ).fit(texts, matrix)
    found = explain.available(model)
    assert "attention" not in found
    assert "attention_rollout" not in found
    assert "integrated_gradients" in found


@pytest.mark.parametrize("name", sorted(ASKS))
@pytest.mark.parametrize("kind", ["tfidf", "textcnn", "transformer"])  # a BiLSTM needs more rows
def test_methods_that_ask_for_a_label_find_its_words(models, name, kind):
    model, explainer = models[kind], explain.make(name)
    if explainer.refuses(model):
        pytest.skip("it cannot explain this model")
    text = "患者今日来诊咳嗽无其他不适胸闷既往体健"
    for label in ("cold", "heart"):
        found = explain.explain(explainer, model, [text], [CLASSES.index(label)], "character")[0]
        start, end = found.units[found.ranked()[0]]
        assert text[start:end] in PLANTED[label]


def test_integrated_gradients_add_up_to_the_difference(models):
    model = models["transformer"]
    network, text = network_of(model), "患者咳嗽流涕来诊"
    explainer = explain.make("integrated_gradients", {"steps": 200, "baseline": "zero"})
    found = explain.explain(explainer, model, [text], [0], "character")[0]
    tokens = read(model, network, text)
    ids = torch.tensor([tokens.ids])
    mask = torch.ones_like(ids, dtype=torch.bool)
    placed = torch.tensor([[end > start for start, end in tokens.spans]])
    with torch.no_grad():
        whole = network.embed(ids)
        empty = torch.where(placed[:, :, None], torch.zeros_like(whole), whole)
        logits = network.classify(torch.cat([whole, empty]), mask.expand(2, -1))
    reached = label_score(logits, torch.tensor([0, 0]), single=False)
    assert found.scores.sum() == pytest.approx(float(reached[0] - reached[1]), abs=0.02)


def test_a_single_label_score_is_the_log_odds():
    logits = torch.tensor([[1.0, 2.0, -1.0]])
    chance = logits.softmax(-1)[0, 1]
    scored = label_score(logits, torch.tensor([1]), single=True)
    assert float(scored) == pytest.approx(float(torch.logit(chance)), abs=1e-5)


def test_what_the_model_does_not_read_lends_nothing_to_what_it_reads(models, monkeypatch):
    model, occlusion = models["transformer"], explain.make("occlusion")
    monkeypatch.setattr(model, "max_length", 12)
    text = "患者今日来诊无其他不适"
    ends = [text, text + "咳嗽流涕胸闷"]
    short, long = explain.explain(occlusion, model, ends, [0, 0], "character")
    assert text.startswith(beginning(model, ends[1]))
    assert long.scores[:10] == pytest.approx(short.scores[:10], abs=1e-4)
    assert not long.scores[10:].any()
    judged = explain.judge(model, ends, [0, 0], {"occlusion": [short, long]})["occlusion"]
    assert judged.comprehensiveness[0] == pytest.approx(judged.comprehensiveness[1], abs=1e-5)


def test_occlusion_in_windows_shares_what_it_finds(models):
    text = "患者咳嗽流涕来诊"
    wide = explain.make("occlusion", {"window": 3})
    found = explain.explain(wide, models["tfidf"], [text], [0], "character")[0]
    start, end = found.units[found.ranked()[0]]
    assert text[start:end] in PLANTED["cold"]
    with pytest.raises(ConfigError):
        explain.make("occlusion", {"window": 0})


def test_scores_stand_in_the_original_where_the_model_reads_another_text(easy):
    texts, _, matrix = easy(200)
    model = NeuralClassifier(
        "textcnn", {"width": 32, "filters": 32}, classes=CLASSES, epochs=4, learning_rate=5e-3,
        normalizer=Normalizer(["markup", "width"]), precision="fp32",
    ).fit(texts, matrix)  # fmt: skip
    text = "<b>患者</b>&nbsp;ＡＢＣ，今日来诊咳嗽"
    explainer = explain.make("integrated_gradients")
    found = explain.explain(explainer, model, [text], [0], "character")[0]
    start, end = found.units[found.ranked()[0]]
    assert text[start:end] in PLANTED["cold"]
    tokens = read(model, network_of(model), text)
    assert all(0 <= start <= end <= len(text) for start, end in tokens.spans)
    assert text[slice(*tokens.spans[-1])] == "嗽"

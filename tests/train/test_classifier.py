"""The neural classifier as scikit-learn sees it, and that it learns."""

import inspect
import math
import tomllib

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from emrobust import config
from emrobust.errors import ConfigError, EmrobustError, ModelError
from emrobust.models.thresholds import macro_f1
from emrobust.train import NeuralClassifier, build, load, loop, losses

NETWORKS = ("textcnn", "bilstm", "transformer")


def make(network: str, bert, **settings) -> NeuralClassifier:
    of_network = {"checkpoint": str(bert)} if network == "transformer" else {"width": 32}
    rate = {"learning_rate": 5e-3 if network != "transformer" else 2e-3}
    values = {"epochs": 6, "batch_size": 16, **rate, **settings}
    return NeuralClassifier(network, network_settings=of_network, **values)


@pytest.mark.parametrize("network", NETWORKS)
def test_it_learns_both_tasks_and_loads_as_it_was(network, easy, bert, tmp_path):
    texts, names, matrix = easy(400)
    unseen, unseen_names, unseen_matrix = easy(100, seed=1)
    odd = [*unseen, "", "完全陌生的字词 unknown 🙂 3.5"]
    for kind, y in (("single", names), ("multi", matrix)):
        model = make(network, bert).fit(texts, y, (texts[:99], y[:99]))
        chances = model.predict_proba(odd)
        assert chances.shape == (102, 4)
        assert np.isfinite(chances).all()
        if kind == "single":
            assert f1_score(unseen_names, model.predict(unseen), average="macro") > 0.9
            np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-5)
        else:
            assert macro_f1(unseen_matrix, model.predict(unseen)) > 0.9
        model.save(tmp_path / kind)
        again = load(tmp_path / kind)
        assert (again.predict_proba(odd) == chances).all()
        assert (again.predict(odd) == model.predict(odd)).all()
        assert again.history_ == model.history_


def test_defaults_are_those_of_the_project_file():
    parameters = inspect.signature(NeuralClassifier).parameters
    defaults = {name: parameters[name].default for name in config.Train.model_fields}
    assert defaults == config.Train().model_dump()


def test_clone_and_parameters(bert):
    model = make("transformer", bert, warmup=0.3, classes=["a", "b"])
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.set_params(epochs=2).epochs == 2


def test_pipeline_and_grid_search(easy):
    texts, names, matrix = easy(120)
    base = NeuralClassifier(network_settings={"width": 16}, epochs=4, batch_size=8)
    steps = Pipeline([("trim", FunctionTransformer(lambda x: [t.strip() for t in x])), ("m", base)])
    search = GridSearchCV(steps, {"m__learning_rate": [1e-7, 1e-2]}, cv=2, scoring="f1_macro")
    search.fit(texts, names)
    assert search.best_params_ == {"m__learning_rate": 1e-2}
    assert set(search.predict(texts)) <= set(names)
    search = GridSearchCV(base, {"epochs": [1, 2]}, cv=2, scoring="f1_micro")
    assert search.fit(texts, matrix).predict(texts).shape == matrix.shape


def test_parameters_of_numpy_are_saved_as_plain_values(easy, tmp_path):
    texts, names, _ = easy(60)
    model = NeuralClassifier(
        network_settings={"width": np.int64(32)},
        epochs=np.arange(1, 3)[0], seed=np.int64(3), learning_rate=np.float32(0.01),
        classes=np.unique(names), adversary={"name": "fgm", "warmup_steps": np.int64(0)},
    )  # fmt: skip
    model.fit(texts, names).save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert (again.predict(texts) == model.predict(texts)).all()
    assert (again.epochs, again.seed, again.classes) == (1, 3, sorted(set(names)))


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generators(easy, bert):
    texts, names, _ = easy(64)
    torch.manual_seed(7)
    np_state, state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    runs = [make("transformer", bert, epochs=1, seed=s).fit(texts, names) for s in (1, 1, 2)]
    first, same, other = (model.predict_proba(texts) for model in runs)
    assert (first == same).all()
    assert (first != other).any()
    assert torch.equal(state, torch.get_rng_state())
    assert (np_state == np.random.get_state()[1]).all()  # noqa: NPY002


def test_early_stopping_keeps_the_best_epoch(easy):
    texts, names, _ = easy(64)
    model = NeuralClassifier(network_settings={"width": 8}, epochs=30, patience=2, batch_size=16)
    model.set_params(learning_rate=1e-8).fit(texts, names, (texts, names))
    scores = [row["macro_f1"] for row in model.history_]
    assert len(scores) == 3  # the first, then two that are no better
    reached = f1_score(names, model.predict(texts), average="macro")
    assert reached == pytest.approx(max(scores))


def test_labels_without_positives_and_the_fixed_label_set(easy):
    texts, names, matrix = easy(64)
    matrix = np.hstack([matrix, np.zeros((64, 1), int)])
    model = NeuralClassifier(network_settings={"width": 8}, epochs=1)
    assert model.fit(texts, matrix, (texts, matrix)).predict(texts)[:, 4].mean() < 0.5
    fixed = [*np.unique(names), "never seen"]
    model = clone(model).set_params(classes=fixed).fit(texts, names)
    assert model.classes_.tolist() == fixed
    assert model.predict_proba(texts).shape == (64, 5)


def test_it_tells_how_many_texts_lose_their_end(easy, bert, capsys):
    texts, names, _ = easy(40)
    texts[:2] = ["咳嗽" * 40] * 2
    make("transformer", bert, epochs=1, max_length=64).fit(texts, names)
    assert "2 of 40 training texts fill the 64 tokens" in capsys.readouterr().err
    make("transformer", bert, epochs=1, max_length=4000).fit(texts[2:], names[2:])
    assert "fill" not in capsys.readouterr().err


def test_a_loss_that_is_not_a_number_stops_with_advice(easy, tmp_path):
    texts, names, _ = easy(64)
    model = NeuralClassifier(network_settings={"width": 8}, epochs=3, batch_size=8)
    model.fit(texts, names, checkpoints=tmp_path)
    data = loop.Data(model._tokens(texts), model._as_matrix(texts, names))

    def broken(network, batch, evaluate):
        del batch
        loss = evaluate() * (math.nan if next(steps) > 9 else 1)
        loss.backward()
        return loss.detach()

    steps = iter(range(1000))
    with pytest.raises(EmrobustError, match="not a number"):
        loop.train(
            model.network_, data, config.Train(epochs=3, batch_size=8),
            loss=losses.make("single"), seed=0, step=broken, folder=tmp_path / "broken",
        )  # fmt: skip
    assert len(list((tmp_path / "broken").iterdir())) == 1  # of the first epoch


@pytest.mark.parametrize(
    ("change", "y", "says"),
    [
        ({"network": "tetxcnn"}, None, "textcnn"),
        ({"network": "tfidf"}, None, "no neural network"),
        ({"network_settings": {"widht": 3}}, None, "width"),
        ({"epochs": 0}, None, "epochs"),
        ({}, ["a"] * 20, "one class only"),
        ({}, ["a", "b"], "20 texts and 2 targets"),
        ({"task": "multi"}, ["a", "b"] * 10, "multi-label"),
        ({}, np.full((20, 2), 3), "0 and 1"),
    ],
)
def test_wrong_input_is_named(change, y, says, easy):
    texts, names, _ = easy(20)
    with pytest.raises((ConfigError, ModelError), match=says):
        NeuralClassifier(**change).fit(texts, names if y is None else y)


def test_texts_must_be_strings_and_no_text_is_told(easy):
    for texts in ("腹痛三天", ["腹痛三天", None], np.array([["腹痛三天"]])):
        with pytest.raises(ModelError) as caught:
            NeuralClassifier().fit(texts, ["a", "b"])
        assert "腹痛" not in str(caught.value)


def test_build_from_a_project(bert):
    source = {"path": "t.csv", "columns": {"record_id": "id", "text": ["t"]}}
    values = {"source": source, "labels": {"task": "single"}, "train": {"epochs": 3}, "seed": 5}
    transformer = {"name": "transformer", "checkpoint": str(bert), "pooling": "cls"}
    model = build(config.parse({**values, "model": transformer}), ["b", "a"])
    assert (model.network, model.epochs, model.seed, model.task) == ("transformer", 3, 5, "single")
    assert model.network_settings["pooling"] == "cls"
    assert model.classes == ["b", "a"]
    tfidf = build(config.parse({**values, "language": "en", "model": {"name": "tfidf"}}), ["a"])
    assert tfidf.analyzer == "word"
    with pytest.raises(ConfigError, match="max_features"):
        build(config.parse({**values, "model": {"name": "tfidf", "max_feature": 3}}), ["a"])


RULES = {"probability": 1.0, "masked_lm": 0.0, "back_translation": 0.0, "workers": 0}


def test_augmented_texts_change_the_training_and_what_was_done_is_told(easy, tmp_path):
    texts, names, _ = easy(120)
    given = {"perturbations": [{"name": "deletion", "rate": 0.3}], **RULES}
    values = {"network_settings": {"width": 8}, "epochs": 2, "batch_size": 8}
    plain = NeuralClassifier(**values).fit(texts, names)
    model = NeuralClassifier(**values, augment=given).fit(texts, names)
    assert plain.augmentation_ == {}
    assert (model.predict_proba(texts) != plain.predict_proba(texts)).any()
    shares = model.augmentation_["shares"]
    assert shares["rules"] == pytest.approx(2 / 3)
    assert model.history_[-1]["mixed"] == pytest.approx(1 / 3, abs=0.3)
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").augmentation_ == model.augmentation_
    with pytest.raises(ConfigError, match="probability"):
        NeuralClassifier(augment={"probability": 2}).fit(texts, names)


def test_augmentation_of_a_project_is_checked_before_anything_long():
    source = {"path": "t.csv", "columns": {"record_id": "id", "text": ["t"]}}
    neural = {"source": source, "model": {"name": "textcnn"}}
    with pytest.raises(ConfigError, match="no translation model"):
        build(config.parse({**neural, "augment": {"probability": 1.0}}), ["a"])
    with pytest.raises(ConfigError, match="no epochs"):
        build(config.parse({"source": source, "augment": RULES}), ["a"])
    given = {**RULES, "perturbations": ["swap", {"name": "deletion", "rate": 0.2}]}
    project = config.parse({**neural, "augment": given})
    model = build(project, ["a"])
    assert model.augment["perturbations"][1] == {"name": "deletion", "rate": 0.2}
    english = build(config.parse({**neural, "language": "en", "augment": RULES}), ["a"])
    named = {one["name"] for one in english.augment["perturbations"]}
    assert "typo" in named
    assert "homophone" not in named
    assert config.parse(tomllib.loads(config.dump(project))) == project


def test_schedule_rises_then_falls_to_nothing():
    rates = [loop.schedule(step, 100, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([(k + 1) / 10 for k in range(10)])
    assert max(rates) == 1
    assert rates[99] == pytest.approx(1 / 90)
    assert np.allclose(np.diff(rates[10:]), -1 / 90)


def test_deep_layers_learn_at_a_share_of_the_rate(easy, bert, monkeypatch):
    texts, names, _ = easy(32)
    made = []
    build_optimizer = loop._optimizer
    monkeypatch.setattr(loop, "_optimizer", lambda *a: made.append(build_optimizer(*a)) or made[-1])
    values = {"epochs": 1, "learning_rate": 1e-3, "warmup": 0.0, "batch_size": 32, "patience": 9}
    model = make("transformer", bert, layer_decay=0.5, **values).fit(texts, names)
    rates = {
        id(parameter): group["lr"]
        for group in made[0].param_groups
        for parameter in group["params"]
    }
    at = {name: rates.pop(id(p)) for name, p in model.network_.named_parameters()}
    assert not rates  # each parameter is in one group
    assert at["head.weight"] == at["head.bias"] == 1e-3
    assert at["encoder.encoder.layer.1.output.dense.bias"] == 1e-3 / 2
    assert at["encoder.encoder.layer.0.output.dense.weight"] == 1e-3 / 4
    assert at["encoder.embeddings.word_embeddings.weight"] == 1e-3 / 8


def test_losses_equal_their_formulas():
    logits = torch.tensor([[0.3, -1.2, 2.0]])
    target = torch.tensor([[0.0, 1.0, 0.0]])
    p, q = logits.sigmoid(), target * 0.9 + 0.05
    binary = -(q * p.log() + (1 - q) * (1 - p).log()).mean()
    torch.testing.assert_close(losses.make("multi", 0.1)(logits, target), binary)
    soft = target * 0.9 + 0.1 / 3
    exclusive = -(soft * logits.log_softmax(-1)).sum()
    torch.testing.assert_close(losses.make("single", 0.1)(logits, target), exclusive)

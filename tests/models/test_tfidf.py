"""The baseline: its solver against scikit-learn, its probabilities, its folder."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss
from sklearn.model_selection import GridSearchCV

from emrobust.errors import ModelError
from emrobust.models import logistic
from emrobust.models.tfidf import Tfidf
from emrobust.models.thresholds import macro_f1

CLASSIFIERS = ("logistic", "svm")


def problem(seed: int = 0) -> tuple[sp.csr_matrix, np.ndarray]:
    random = np.random.default_rng(seed)
    features = sp.random(200, 30, 0.3, "csr", dtype=np.float32, random_state=random)
    return features, (features @ random.normal(size=(30, 3)) + random.normal(size=(200, 3))).argmax(
        1
    )


def test_solver_is_scikit_learns_optimum():
    features, y = problem()
    truth = np.eye(3)[y]
    settings = {"inverse_penalty": 5.0, "max_iterations": 500}
    weights, bias = logistic.fit(features, truth, exclusive=True, **settings)
    peer = LogisticRegression(C=5.0, tol=1e-8, max_iter=5000).fit(features, y)
    ours = np.exp(features @ weights + bias)
    ours /= ours.sum(1, keepdims=True)
    np.testing.assert_allclose(ours, peer.predict_proba(features), atol=2e-3)
    weights, bias = logistic.fit(features, truth, exclusive=False, **settings)
    peer = LogisticRegression(C=5.0, tol=1e-8, max_iter=5000).fit(features, y == 1)
    ours = 1 / (1 + np.exp(-(features @ weights + bias)))[:, 1]
    np.testing.assert_allclose(ours, peer.predict_proba(features)[:, 1], atol=2e-3)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_it_learns_both_tasks_and_loads_as_it_was(classifier, easy, tmp_path):
    texts, names, matrix = easy(300)
    unseen, unseen_names, unseen_matrix = easy(100, seed=1)
    odd = [*unseen, "", "unknown 🙂"]
    for kind, y in (("single", names), ("multi", matrix)):
        model = Tfidf(classifier=classifier).fit(texts[50:], y[50:], (texts[:50], y[:50]))
        chances = model.predict_proba(odd)
        if kind == "single":
            assert f1_score(unseen_names, model.predict(unseen), average="macro") > 0.9
            np.testing.assert_allclose(chances.sum(1), 1)
            assert log_loss(unseen_names, chances[:100], labels=model.classes_) < 0.5
        else:
            assert macro_f1(unseen_matrix, model.predict(unseen)) > 0.9
        model.save(tmp_path / kind)
        again = Tfidf.load(tmp_path / kind)
        assert (again.predict_proba(odd) == chances).all()
        assert {f.suffix for f in (tmp_path / kind).iterdir()} == {".json", ".safetensors"}


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_label_that_never_occurs_gets_its_base_rate(classifier, easy):
    texts, _, matrix = easy(100)
    never, always = np.zeros((100, 1), int), np.ones((100, 1), int)
    model = Tfidf(classifier=classifier).fit(texts, np.hstack([matrix, never, always]))
    chances = model.predict_proba(["咳嗽", "别的"])
    np.testing.assert_allclose(chances[:, 4], 0.5 / 101, rtol=1e-4)
    np.testing.assert_allclose(chances[:, 5], 100.5 / 101, rtol=1e-4)


def test_english_words(easy):
    texts = ["fever and cough", "knee pain", "cough", "pain in the knee", "fever", "knee"] * 5
    y = ["lung", "joint", "lung", "joint", "lung", "joint"] * 5
    model = Tfidf(analyzer="word", longest=2).fit(texts, y)
    assert model.predict(["a cough", "my knee"]).tolist() == ["lung", "joint"]


def test_scikit_learn_conventions(easy):
    texts, names, _ = easy(90)
    model = Tfidf(longest=2)
    assert clone(model).get_params() == model.get_params()
    search = GridSearchCV(model, {"inverse_penalty": [1e-6, 10.0]}, cv=2, scoring="f1_macro")
    assert search.fit(texts, names).best_params_ == {"inverse_penalty": 10.0}


def test_texts_without_a_common_ngram_are_refused():
    with pytest.raises(ModelError, match="no n-gram"):
        Tfidf(min_texts=2).fit(["甲", "乙"], ["a", "b"])

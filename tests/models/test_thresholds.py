"""Tuned thresholds reach the best F1 that their rows lead to expect."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import expit, logit
from sklearn.metrics import f1_score

from emrobust.models.thresholds import expect, macro_f1, tune

SHAPE = st.tuples(st.integers(1, 12), st.integers(1, 4))


@st.composite
def scored(draw):
    shape = draw(SHAPE)
    truth = draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, 1)))
    # Few distinct values, so that ties are common.
    scores = draw(arrays.arrays(np.float32, shape, elements=st.sampled_from([0, 0.1, 0.5, 0.7, 1])))
    return truth, scores


def f1(counted, chosen):
    """Expected F1 of each label where rows count by parts."""
    return 2 * (counted * chosen).sum(0) / np.maximum(counted.sum(0) + chosen.sum(0), 1)


def brute(counted, scores):
    """F1 at every threshold that makes a difference, [thresholds, labels]."""
    return np.stack([f1(counted, scores >= t) for t in [*np.unique(scores), 2.0]])


@given(scored())
def test_one_a_label_equals_brute_force_on_what_is_expected(case):
    truth, scores = case
    tuned = tune(truth, scores, "label")
    expected = expect(truth, scores.astype(np.float64))
    assert ((expected >= 0) & (expected <= 1)).all()
    reached = f1(expected, scores >= tuned)
    np.testing.assert_allclose(reached, brute(expected, scores).max(0), rtol=1e-9)


@given(scored())
def test_one_for_all_equals_brute_force(case):
    truth, scores = case
    tuned = tune(truth, scores, "global")
    assert len(set(tuned.tolist())) == 1
    assert macro_f1(truth, scores >= tuned) == pytest.approx(brute(truth, scores).mean(1).max())


@given(scored(), st.integers(0, 1))
def test_macro_f1_is_scikit_learns(case, flip):
    truth, scores = case
    predicted = (scores >= 0.5) ^ flip
    expected = f1_score(truth.ravel(), predicted.ravel(), zero_division=0)
    assert macro_f1(truth.reshape(-1, 1), predicted.reshape(-1, 1)) == pytest.approx(expected)


def draw(rows, random, *, shift=0.0):
    """Five labels with rates of 1 to 20 %, scores that know them, off by a shift of log-odds."""
    odds = random.normal(logit([0.01, 0.02, 0.05, 0.1, 0.2]), 1.5, (rows, 5))
    return random.random((rows, 5)) < expit(odds), expit(odds + shift).astype(np.float32)


def test_few_positives_teach_less_noise_than_their_best_f1_would():
    """300 validation rows; the peer takes for each label the threshold that was best on them."""
    ours, peers = [], []
    for seed in range(30):
        random = np.random.default_rng(seed)
        truth, scores = draw(300, random, shift=1.0)
        unseen, answers = draw(20_000, random, shift=1.0)
        candidates = [*np.unique(scores), 2.0]
        best = [candidates[k] for k in brute(truth, scores).argmax(0)]
        ours.append(macro_f1(unseen, answers >= tune(truth, scores)))
        peers.append(macro_f1(unseen, answers >= np.array(best)))
    gained = np.array(ours) - peers
    assert gained.mean() > 3 * gained.std(ddof=1) / np.sqrt(len(gained))
    assert gained.mean() > 0.005


def test_many_positives_are_believed():
    """A label whose scores mislead the calibration: its own rows win where there are many."""
    random = np.random.default_rng(0)
    truth, scores = draw(60_000, random)
    scores[:, 4] = np.where(truth[:, 4], 0.5, random.choice([0.1, 0.9], len(truth)))
    expected = expect(truth, scores.astype(np.float64))
    assert np.abs(expected - truth)[:, 4].max() < 0.03
    few = expect(truth[:200], scores[:200].astype(np.float64))
    assert np.abs(few - truth[:200])[:, 4].max() > 0.3


def test_labels_without_positives_or_negatives_and_constant_scores_have_thresholds():
    truth = np.zeros((40, 3), dtype=np.uint8)
    truth[:, 1] = 1
    truth[:3, 2] = 1
    for scores in (np.full((40, 3), 0.3), np.zeros((40, 3)), np.ones((40, 3))):
        tuned = tune(truth, scores)
        assert np.isfinite(tuned).all()
        assert (scores[:, 1] >= tuned[1]).all()


def test_scores_that_say_the_contrary_are_not_turned_round():
    random = np.random.default_rng(1)
    truth, scores = draw(500, random)
    expected = expect(truth, 1 - scores.astype(np.float64))
    assert np.isfinite(expected).all()
    negatives = ~truth[:, 4]
    order = np.argsort(1 - scores[negatives, 4])
    assert (np.diff(expected[negatives, 4][order]) >= 0).all()

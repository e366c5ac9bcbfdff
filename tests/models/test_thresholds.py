"""Tuned thresholds reach the best F1 that any threshold can."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import f1_score

from emrobust.models.thresholds import macro_f1, tune

SHAPE = st.tuples(st.integers(1, 12), st.integers(1, 4))


@st.composite
def scored(draw):
    shape = draw(SHAPE)
    truth = draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, 1)))
    # Few distinct values, so that ties are common.
    scores = draw(arrays.arrays(np.float32, shape, elements=st.sampled_from([0, 0.1, 0.5, 0.7, 1])))
    return truth, scores


def brute(truth, scores):
    """F1 at every threshold that makes a difference, [thresholds, labels]."""
    candidates = [*np.unique(scores), 2.0]
    return np.stack(
        [[macro_f1(truth[:, [k]], scores[:, [k]] >= t) for k in range(truth.shape[1])]
         for t in candidates]
    )  # fmt: skip


@given(scored())
def test_one_a_label_equals_brute_force(case):
    truth, scores = case
    tuned = tune(truth, scores, "label", min_positives=0)
    reached = [macro_f1(truth[:, [k]], scores[:, [k]] >= t) for k, t in enumerate(tuned)]
    np.testing.assert_allclose(reached, brute(truth, scores).max(0))


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


def test_rare_labels_take_the_global_threshold():
    random = np.random.default_rng(0)
    truth = (random.random((300, 3)) < [0.3, 0.2, 0.0]).astype(int)
    truth[:2, 2] = 1
    scores = np.clip(truth * 0.3 + random.random((300, 3)) * 0.6, 0, 1)
    labels, together = tune(truth, scores, "label"), tune(truth, scores, "global")
    assert labels[2] == together[0]
    assert labels[0] != together[0]
    assert (scores[:, 2] >= labels[2]).any()

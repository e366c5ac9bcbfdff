import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from emrobust.evaluate import metrics

EXACT = {"rtol": 0, "atol": 1e-12}


@st.composite
def problems(draw):
    """Truth, prediction and probability; few distinct scores make ties, small shapes gaps."""
    shape = (draw(st.integers(1, 25)), draw(st.integers(2, 6)))
    bits = hnp.arrays(np.uint8, shape, elements=st.integers(0, 1))
    tenths = hnp.arrays(np.float64, shape, elements=st.integers(0, 10).map(lambda v: v / 10))
    return draw(bits), draw(bits), draw(tenths)


@settings(max_examples=80)
@given(problems())
def test_f1_precision_recall_equal_scikit_learn(problem):
    truth, predicted, _ = problem
    counts = metrics.count(truth, predicted)
    for average, ours in ((None, counts), ("micro", counts.total())):
        peer = sk.precision_recall_fscore_support(
            truth, predicted, average=average, zero_division=0.0
        )
        np.testing.assert_allclose(metrics.precision(ours), peer[0], **EXACT)
        np.testing.assert_allclose(metrics.recall(ours), peer[1], **EXACT)
        np.testing.assert_allclose(metrics.f1(ours), peer[2], **EXACT)


@settings(max_examples=80)
@given(problems())
def test_average_precision_equals_scikit_learn(problem):
    truth, _, probability = problem
    area = metrics.average_precision(truth, probability)
    for k in range(truth.shape[1]):
        if truth[:, k].any():
            expected = sk.average_precision_score(truth[:, k], probability[:, k])
            np.testing.assert_allclose(area[k], expected, **EXACT)
        else:
            assert np.isnan(area[k])


def test_average_precision_is_the_same_in_blocks(monkeypatch):
    stream = np.random.default_rng(0)
    truth = (stream.random((50, 7)) < 0.3).astype(np.uint8)
    probability = stream.random((50, 7)).round(1)
    whole = metrics.average_precision(truth, probability)
    monkeypatch.setattr(metrics, "_SORTED_AT_ONCE", 100)
    np.testing.assert_array_equal(metrics.average_precision(truth, probability), whole)


def test_ece_by_hand():
    # Two bins. [0, .5): .2 and .4, none true: gap .3. [.5, 1]: .5, .9, 1.0, two true:
    # mean .8, share 2/3. ECE = 2/5 x .3 + 3/5 x (.8 - 2/3) = .12 + .08.
    probability = np.array([[0.2], [0.4], [0.5], [0.9], [1.0]])
    truth = np.array([[0], [0], [0], [1], [1]], dtype=np.uint8)
    assert metrics.ece(truth, probability, bins=2) == pytest.approx(0.2, abs=1e-12)
    assert metrics.bin_decisions(truth, probability, 2).error() == pytest.approx([0.2])


def test_ece_overall_pools_labels_that_cancel_out():
    # One label is over-, the other under-confident by .2 in the same bin.
    probability = np.full((10, 2), 0.5)
    truth = np.zeros((10, 2), dtype=np.uint8)
    truth[:3, 0] = truth[:7, 1] = 1
    assert metrics.ece(truth, probability) == pytest.approx(0.0, abs=1e-12)
    assert metrics.bin_decisions(truth, probability, 10).error() == pytest.approx([0.2, 0.2])


@pytest.mark.parametrize(("value", "place"), [(0.0, 0), (0.3, 3), (0.7, 7), (0.999, 9), (1.0, 9)])
def test_bins_are_closed_on_the_left(value, place):
    assert metrics.bin_of(np.array([value]), 10) == [place]


def test_brier_equals_scikit_learn():
    stream = np.random.default_rng(1)
    truth = (stream.random(100) < 0.4).astype(np.uint8)
    probability = stream.random(100)
    assert metrics.brier(truth[:, None], probability[:, None]) == pytest.approx(
        sk.brier_score_loss(truth, probability), abs=1e-12
    )


def test_confusions_count_a_missed_label_beside_a_false_one():
    truth = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1]], dtype=np.uint8)
    predicted = np.array([[0, 1, 0], [0, 1, 1], [0, 1, 0], [0, 0, 1]], dtype=np.uint8)
    # Row 2 misses label 0, but label 1 is right there: no confusion.
    assert metrics.confusions(truth, predicted).tolist() == [[0, 2, 1], [0, 0, 0], [0, 0, 0]]


def test_single_label_confusions_are_the_confusion_matrix_without_its_diagonal():
    stream = np.random.default_rng(2)
    true, chosen = stream.integers(0, 4, 60), stream.integers(0, 4, 60)
    eye = np.eye(4, dtype=np.uint8)
    whole = sk.confusion_matrix(true, chosen)
    ours = metrics.confusions(eye[true], eye[chosen])
    np.testing.assert_array_equal(ours, whole - np.diag(np.diag(whole)))

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from emrobust.evaluate import gather, intervals, metrics

DRAWS = 25


def problem(seed, n=300, labels=8, patients=90, task="multi"):
    stream = np.random.default_rng(seed)
    if task == "single":
        truth = np.eye(labels, dtype=np.uint8)[stream.integers(0, labels, n)]
        score = np.exp(stream.normal(size=(n, labels)) + 1.5 * truth)
        probability = score / score.sum(axis=1, keepdims=True)
    else:
        truth = (stream.random((n, labels)) < 0.4 / np.arange(1, labels + 1)).astype(np.uint8)
        truth[:, -1] = 0
        # Two decimals make ties.
        probability = np.clip(0.35 * truth + 0.6 * stream.random((n, labels)), 0, 1).round(2)
    names = [f"类{k}" for k in range(labels)]
    owners = stream.integers(0, patients, n)
    return gather(truth, probability, None, names, owners, task=task)


def rows_of(predictions, weight):
    """The resampled table itself: every patient's rows as often as the patient was drawn."""
    return np.repeat(np.arange(predictions.n), weight[predictions.patient])


@pytest.mark.parametrize("task", ["multi", "single"])
def test_scores_equal_a_loop_over_the_resampled_tables(task):
    predictions = problem(1, task=task)
    resampled = intervals.resample(predictions, resamples=DRAWS, seed=5, bins=10)
    for number, weight in enumerate(intervals.draws(5, predictions.patients, DRAWS)):
        rows = rows_of(predictions, weight)
        truth, predicted = predictions.truth[rows], predictions.predicted[rows]
        probability = predictions.probability[rows]
        known = [
            average_precision_score(truth[:, k], probability[:, k])
            for k in range(truth.shape[1])
            if truth[:, k].any()
        ]
        expected = {
            "macro_f1": f1_score(truth, predicted, average="macro", zero_division=0.0),
            "micro_f1": f1_score(truth, predicted, average="micro", zero_division=0.0),
            "pr_auc_macro": np.mean(known),
            "ece": metrics.ece(truth, probability),
            "brier": metrics.brier(truth, probability),
        }
        if task == "single":
            expected["accuracy"] = (truth & predicted).any(axis=1).mean()
        ours = {measure: values[number] for measure, values in resampled.scores.items()}
        assert ours == pytest.approx(expected, abs=1e-12)


def test_chunks_change_nothing(monkeypatch):
    predictions = problem(2)
    whole = intervals.resample(predictions, resamples=DRAWS, seed=3, bins=10)
    monkeypatch.setattr(intervals, "_CHUNK_CELLS", 4 * predictions.patients)
    pieces = intervals.resample(predictions, resamples=DRAWS, seed=3, bins=10)
    np.testing.assert_array_equal(whole.label_f1, pieces.label_f1)
    for measure, values in whole.scores.items():
        np.testing.assert_allclose(values, pieces.scores[measure], rtol=0, atol=1e-12)


def test_nothing_right_and_nothing_wrong_are_scored_too():
    truth = np.array([[1, 0], [1, 0], [0, 0]], dtype=np.uint8)
    per_label, micro = intervals.resample_f1(truth, truth, np.arange(3), resamples=DRAWS, seed=1)
    drawn = [weight[:2].any() for weight in intervals.draws(1, 3, DRAWS)]
    assert per_label[:, 0].tolist() == [float(hit) for hit in drawn]
    assert per_label[:, 1].tolist() == [0.0] * DRAWS
    assert micro.tolist() == per_label[:, 0].tolist()
    nothing, none = intervals.resample_f1(truth, 1 - truth, np.arange(3), resamples=5, seed=1)
    assert not nothing.any()
    assert not none.any()


def test_a_draw_takes_as_many_patients_as_there_are_and_repeats():
    first = list(intervals.draws(1, 40, 5))
    assert [int(weight.sum()) for weight in first] == [40] * 5
    again = list(intervals.draws(1, 40, 9))
    np.testing.assert_array_equal(first, again[:5])
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], next(intervals.draws(2, 40, 1)))


def test_patients_not_rows_are_the_unit():
    """Ten equal rows a patient must give the interval of one row a patient, not a narrower."""
    stream = np.random.default_rng(4)
    truth = (stream.random((60, 2)) < 0.5).astype(np.uint8)
    predicted = truth ^ (stream.random((60, 2)) < 0.3)
    once = intervals.resample_f1(truth, predicted, np.arange(60), resamples=200, seed=1)
    ten = (np.repeat(part, 10, axis=0) for part in (truth, predicted, np.arange(60)))
    repeated = intervals.resample_f1(*ten, resamples=200, seed=1)
    np.testing.assert_allclose(once[1], repeated[1], rtol=0, atol=1e-12)


def test_percentile_and_p():
    scores = np.arange(101.0)
    assert intervals.percentile(scores, 0.9) == pytest.approx((5.0, 95.0))
    assert intervals.two_sided_p(np.zeros(99)) == 1.0
    assert intervals.two_sided_p(np.ones(99)) == pytest.approx(0.02)
    assert intervals.two_sided_p(-np.ones(99)) == pytest.approx(0.02)


@pytest.mark.parametrize("estimate", [0.1, 0.8, 0.97])
def test_a_centred_interval_holds_the_score_it_belongs_to(estimate):
    rng = np.random.default_rng(3)
    drawn = np.clip(rng.normal(estimate - 0.1, 0.03, 1000), 0, 1)  # every draw leans down
    shifted = intervals.centred(drawn, estimate)
    low, high = intervals.percentile(shifted, 0.95)
    assert low < estimate < high
    assert high - low == pytest.approx(np.diff(intervals.percentile(drawn, 0.95))[0])

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from emrobust import config
from emrobust.errors import InputError
from emrobust.evaluate import attacked, compare, evaluate, gather

SETTINGS = config.Evaluate(bootstrap=60)
NAMES = ["高血压", "糖尿病", "胃炎", "未见"]


def data(seed=0, n=200):
    stream = np.random.default_rng(seed)
    truth = (stream.random((n, 4)) < [0.6, 0.3, 0.1, 0.0]).astype(np.uint8)
    probability = np.clip(0.5 * truth + 0.55 * stream.random((n, 4)), 0, 1)
    patients = [f"P{p}" for p in stream.integers(0, 70, n)]
    return truth, probability, patients


def single(seed=0, n=200):
    stream = np.random.default_rng(seed)
    truth = np.eye(3, dtype=np.uint8)[stream.integers(0, 3, n)]
    score = np.exp(stream.normal(size=(n, 3)) + truth)
    return truth, score / score.sum(axis=1, keepdims=True), stream.integers(0, 70, n)


def test_metrics_json_holds_its_contract():
    truth, probability, patients = data()
    result = evaluate(
        truth,
        probability,
        [0.5, 0.4, 0.6, 0.5],
        NAMES,
        patients,
        settings=SETTINGS,
        seed=1,
        ceiling=truth.astype(float),
    )
    plain = json.loads(json.dumps(result.to_json(), allow_nan=False))
    predicted = probability >= [0.5, 0.4, 0.6, 0.5]
    assert plain["n"] == 200
    assert plain["macro_f1"] == pytest.approx(
        f1_score(truth, predicted, average="macro", zero_division=0.0), abs=1e-12
    )
    assert plain["pr_auc_macro"] == pytest.approx(
        average_precision_score(truth[:, :3], probability[:, :3], average="macro"), abs=1e-12
    )
    assert plain["threshold"] == dict(zip(NAMES, [0.5, 0.4, 0.6, 0.5], strict=True))
    assert plain["labels_without_cases"] == 1
    assert plain["per_label"]["未见"]["pr_auc"] is None
    assert list(plain["per_label"]) == NAMES
    assert plain["ceiling"]["macro_f1"] == pytest.approx(0.75)
    for measure in ("macro_f1", "micro_f1", "pr_auc_macro", "ece", "brier"):
        low, high = plain["interval"][measure]
        assert low <= plain[measure] <= high or measure == "ece"
        assert low < high
    low, high = plain["per_label"]["糖尿病"]["f1_interval"]
    assert low < plain["per_label"]["糖尿病"]["f1"] < high


def test_single_label_takes_the_argmax_and_reports_accuracy():
    truth, probability, patients = single()
    result = evaluate(
        truth, probability, None, NAMES[:3], patients, settings=SETTINGS, task="single"
    )
    right = probability.argmax(axis=1) == truth.argmax(axis=1)
    assert result.scores["accuracy"] == pytest.approx(right.mean())
    assert result.scores["micro_f1"] == pytest.approx(right.mean())
    low, high = result.interval["accuracy"]
    assert low < right.mean() < high
    assert sum(map(sum, result.confusion)) == 200
    assert result.to_json()["threshold"] == "argmax"


def test_without_a_bootstrap_there_are_no_intervals():
    truth, probability, patients = data()
    none = config.Evaluate(bootstrap=0)
    result = evaluate(truth, probability, None, NAMES, patients, settings=none)
    assert result.interval == {}
    assert result.per_label[0].f1_interval is None
    assert "[" not in result.headline()
    run = gather(truth, probability, None, NAMES, patients)
    with pytest.raises(InputError, match="bootstrap"):
        compare(run, run, settings=none)


def test_precision_recall_and_reliability_curves():
    truth = np.array([[1], [0], [1], [0]], dtype=np.uint8)
    probability = np.array([[0.9], [0.8], [0.7], [0.1]])
    result = evaluate(truth, probability, None, ["a"], range(4), settings=SETTINGS)
    # The first case is found alone, the second with one false alarm.
    assert result.precision_recall.micro[50] == 1.0
    assert result.precision_recall.micro[51] == pytest.approx(2 / 3, abs=1e-6)
    assert result.precision_recall.macro == result.precision_recall.micro
    assert result.reliability.decisions == (0, 1, 0, 0, 0, 0, 0, 1, 1, 1)
    assert result.reliability.true[9] == 1.0


def test_a_run_does_not_differ_from_itself():
    run = gather(*data()[:2], None, NAMES, data()[2])
    for difference in compare(run, run, settings=SETTINGS).differences:
        assert difference.difference == 0.0
        assert difference.interval == (0.0, 0.0)
        assert difference.p == 1.0


def test_a_better_run_is_found_better_and_pairing_makes_it_sharp():
    truth, probability, patients = data(n=400)
    worse = np.where(np.random.default_rng(5).random(truth.shape) < 0.08, 0.3, probability)
    first = gather(truth, worse, None, NAMES, patients)
    second = gather(truth, probability, None, NAMES, patients)
    comparison = compare(first, second, settings=SETTINGS, names=("基线", "本模型"))
    found = comparison.of("micro_f1")
    assert found.difference == pytest.approx(found.second - found.first)
    assert 0 < found.interval[0] < found.difference < found.interval[1]
    assert found.p == pytest.approx(2 / 61)
    alone = evaluate(truth, probability, None, NAMES, patients, settings=SETTINGS)
    width = np.diff(alone.interval["micro_f1"])
    assert np.diff(found.interval) < width
    assert "本模型 against 基线" in comparison.lines()[0]
    json.dumps(comparison.to_json(), allow_nan=False)


def _broken():
    truth, probability, patients = data()
    nan, high, three = probability.copy(), probability.copy(), truth.copy()
    nan[7, 2], high[3, 1], three[0, 0] = np.nan, 1.5, 3
    good = (truth, probability, None, NAMES, patients)
    return {
        "row 7, column 2": (truth, nan, None, NAMES, patients),
        "row 3, column 1": (truth, high, None, NAMES, patients),
        "do not belong together": (truth[:-1], *good[1:]),
        "4 labels": (truth[:, :3], *good[1:]),
        "at least 2 patients": (*good[:4], ["one"] * 200),
        "there are 0": (truth[:0], probability[:0], None, NAMES, []),
        "thresholds do not fit": (truth, probability, [0.5, 0.5], NAMES, patients),
        "threshold is NaN": (truth, probability, np.nan, NAMES, patients),
        "other than 0 and 1": (three, *good[1:]),
    }


@pytest.mark.parametrize("message", list(_broken()))
def test_parts_that_do_not_fit_are_named(message):
    with pytest.raises(InputError, match=message):
        gather(*_broken()[message])


def test_single_label_rows_are_checked():
    truth, probability, patients = single()
    with pytest.raises(InputError, match="row 0 sum to 0.5"):
        gather(truth, probability * 0.5, None, NAMES[:3], patients, task="single")
    truth[4] = 1
    with pytest.raises(InputError, match="row 4 has 3 labels"):
        gather(truth, probability, None, NAMES[:3], patients, task="single")


def test_runs_on_other_records_are_not_compared():
    truth, probability, patients = data()
    run = gather(truth, probability, None, NAMES, patients)
    others = [
        ("labels of 150 of the 200 records", truth[::-1], probability, NAMES, patients),
        ("different records", truth, probability, NAMES, patients[::-1]),
        ("different records", truth[:-5], probability[:-5], NAMES, patients[:-5]),
        ("different label sets", truth, probability, ["x", *NAMES[1:]], patients),
    ]
    for reason, labels, said, names, of in others:
        with pytest.raises(InputError, match=reason):
            compare(run, gather(labels, said, None, names, of), settings=SETTINGS)


def test_the_rate_of_an_attack_that_never_succeeds_has_an_interval():
    truth, probability, patients = data(n=20)
    given = gather(truth, probability, None, NAMES, patients)
    for state, hit in (("failure", False), ("success", True)):
        after = tuple(given.probability[0]) if hit else None
        done = [attacked.Attempted(str(row), state, 5, after=after) for row in range(20)]
        rate = attacked.measure("a", given, done, settings=SETTINGS, seed=1).success_rate
        bound = 0.025 ** (1 / given.patients)  # Clopper and Pearson, at their ends
        assert rate.interval == pytest.approx((bound, 1.0) if hit else (0.0, 1 - bound))
    withstood = [attacked.Attempted(str(row), "failure", 5, tried=row > 3) for row in range(20)]
    assert attacked.measure("a", given, withstood, settings=SETTINGS, seed=1).untried == 4

"""Calibrators undo known distortions; sets keep their promise on splits that they have not seen."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit, softmax

from emrobust import registry
from emrobust.errors import ConfigError, InputError, RunError
from emrobust.evaluate import gather, metrics
from emrobust.evaluate.calibration import (
    choose,
    control,
    measure_sets,
    restore,
    risk_coverage,
)
from emrobust.evaluate.calibration.calibrator import kind
from emrobust.evaluate.calibration.conformal import sets
from emrobust.evaluate.run import calibrated

NAMES = registry.names("calibrator")


def several(n=3000, seed=0, slope=(3.0,) * 6, shift=(0.0,) * 6, visits=2):
    """Truth drawn from known probabilities, which the model then distorts label by label."""
    stream = np.random.default_rng(seed)
    base = logit(np.array([0.4, 0.3, 0.2, 0.1, 0.05, 0.02]))
    honest = expit(base + 1.2 * stream.normal(size=(n, 6)))
    truth = (stream.random((n, 6)) < honest).astype(np.uint8)
    said = expit(np.array(slope) * logit(honest) + np.array(shift))
    names = [f"L{k}" for k in range(6)]
    return gather(truth, said, None, names, np.arange(n) // visits)


def single(n=3000, seed=0, classes=5, visits=2, sharp=2.5):
    stream = np.random.default_rng(seed)
    score = 1.5 * stream.normal(size=(n, classes))
    honest = softmax(score, axis=1)
    chosen = (stream.random((n, 1)) > np.cumsum(honest, axis=1)).sum(axis=1).clip(0, classes - 1)
    names = [f"L{k}" for k in range(classes)]
    truth = np.eye(classes, dtype=np.uint8)[chosen]
    said = softmax(sharp * score, axis=1)
    return gather(truth, said, None, names, np.arange(n) // visits, task="single")


def part(given, rows):
    """The predictions of some rows, patients numbered anew."""
    return gather(
        given.truth[rows],
        given.probability[rows],
        given.thresholds,
        given.names,
        given.patient[rows],
        task=given.task,
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [several, single])
def test_every_calibrator_gives_probabilities_and_is_read_back_the_same(name, data):
    given = data(600)
    fitted = kind(name)(given.task).fit(given.truth, given.probability)
    again = restore(json.loads(json.dumps(fitted.to_json(), allow_nan=False)))
    found = fitted.apply(given.probability)
    assert np.array_equal(again.apply(given.probability), found)
    assert found.min() >= 0
    assert found.max() <= 1
    if given.task == "single":
        assert np.allclose(found.sum(axis=1), 1)
    else:
        order = np.argsort(given.probability, axis=0)
        assert (np.diff(np.take_along_axis(found, order, axis=0), axis=0) >= -1e-12).all()
    mapped = calibrated(given, fitted)
    assert np.array_equal(mapped.predicted, given.predicted)


@pytest.mark.parametrize("name", NAMES)
def test_no_calibrator_makes_labels_tie_that_the_model_told_apart(name):
    given = several(300)
    found = kind(name)("multi").fit(given.truth, given.probability).apply(given.probability)
    for before, after in zip(given.probability.T, found.T, strict=True):
        order = np.argsort(before)
        assert (np.diff(after[order])[np.diff(before[order]) > 1e-4] > 0).all()


def test_temperature_finds_what_the_probabilities_were_sharpened_by():
    given = several(20_000)
    found = kind("temperature")("multi").fit(given.truth, given.probability)
    assert found.temperature == pytest.approx(3.0, rel=0.05)
    one = single(20_000)
    found = kind("temperature")("single").fit(one.truth, one.probability)
    assert found.temperature == pytest.approx(2.5, rel=0.05)


@pytest.mark.parametrize("data", [several, single])
def test_the_chosen_calibrator_mends_other_records(data):
    chosen = choose(data(seed=1), seed=3)
    other = data(seed=2)
    mended = chosen.calibrator.apply(other.probability)
    before, after = (metrics.ece(other.truth, p) for p in (other.probability, mended))
    assert after <= 0.02
    assert after < before / 2
    assert metrics.brier(other.truth, mended) < metrics.brier(other.truth, other.probability)
    assert min(chosen.scores, key=lambda name: chosen.scores[name]["nll"]) == chosen.calibrator.name


def test_labels_that_err_differently_are_scaled_one_by_one():
    slope, shift = (3, 1, 0.5, 2, 1, 1), (0, 1.5, 0, -1, 2, -1)
    chosen = choose(several(seed=1, slope=slope, shift=shift))
    assert chosen.calibrator.name in {"vector", "isotonic"}
    assert chosen.scores["vector"]["nll"] < chosen.scores["temperature"]["nll"]


def test_honest_probabilities_are_left_nearly_alone():
    given = several(slope=(1.0,) * 6)
    chosen = choose(given)
    assert np.abs(chosen.calibrator.apply(given.probability) - given.probability).mean() < 0.02


def test_a_label_without_a_case_is_calibrated_too():
    given = several(400)
    truth = given.truth.copy()
    truth[:, 5] = 0
    for name in NAMES:
        fitted = kind(name)("multi").fit(truth, given.probability)
        assert np.isfinite(fitted.apply(given.probability)).all()


def test_too_few_records_and_unknown_names_are_refused():
    with pytest.raises(InputError, match="too few to calibrate"):
        choose(several(40))
    with pytest.raises(ConfigError, match="Did you mean `isotonic`"):
        choose(several(200), wanted="isotonik")
    with pytest.raises(RunError, match="cannot be read"):
        restore({"name": "temperature", "task": "multi", "parameters": {}})


def test_bins_of_equal_numbers_hold_equal_numbers():
    stream = np.random.default_rng(0)
    probability = stream.permutation(1000) / 1000
    truth = (stream.random(1000) < probability**2).astype(np.uint8)
    order = np.argsort(probability)
    gaps = [abs((probability[part] - truth[part]).sum()) for part in np.split(order, 10)]
    found = metrics.ece_mass(truth[:, None], probability[:, None])
    assert found == pytest.approx(sum(gaps) / 1000)


@pytest.mark.parametrize(
    ("data", "method", "target"),
    [(several, "lac", 0.9), (several, "lac", 0.95), (single, "lac", 0.9), (single, "aps", 0.9)],
)
def test_sets_hold_the_true_labels_as_often_as_promised(data, method, target):
    given = data(24_000, visits=2)
    stream = np.random.default_rng(5)
    found = []
    for split in range(10):
        half = stream.permutation(given.patients) < given.patients // 2
        calibrating, testing = (
            part(given, np.flatnonzero(half[given.patient] == side)) for side in (True, False)
        )
        promise = control(calibrating, target, method, seed=split)
        found.append(measure_sets(testing, promise, seed=100 + split).coverage)
    assert max(abs(coverage - target) for coverage in found) <= 0.01


def test_the_cut_is_the_highest_that_keeps_the_promise():
    given = several(300, visits=3)
    promise = control(given, 0.9)
    candidates = np.unique(given.probability[given.truth == 1])

    def risk(cut):
        missed = (given.truth * (given.probability < cut)).sum(axis=1)
        share = np.divide(missed, given.truth.sum(axis=1), where=missed > 0, out=np.zeros(given.n))
        by_patient = np.array([share[given.patient == p].mean() for p in range(given.patients)])
        return (by_patient.sum() + 1) / (given.patients + 1)

    assert promise.cut == max(cut for cut in candidates if risk(cut) <= 0.1 + 1e-9)


def test_where_nothing_can_be_promised_every_label_is_shown():
    given = several(8, visits=2)
    assert sets(given.probability, control(given, 0.95), "multi").all()
    with pytest.raises(InputError, match="single-label"):
        control(given, 0.9, "aps")
    with pytest.raises(InputError, match="cannot be promised"):
        control(given, 1.0)


def test_risk_falls_as_the_uncertain_are_left_to_the_doctor():
    given = several(4000, slope=(1.0,) * 6)
    curve = risk_coverage(given)
    wrong = (given.truth != given.predicted).any(axis=1).mean()
    assert curve.risk[-1] == pytest.approx(wrong, abs=1e-6)
    assert curve.risk[5] < curve.risk[-1] - 0.1
    assert curve.area_best <= curve.area < wrong
    perfect = replace(given, predicted=given.truth)
    assert risk_coverage(perfect).area == 0

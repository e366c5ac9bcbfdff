import json

import numpy as np
import pytest
from scipy.stats import false_discovery_control, norm, ttest_ind

from emrobust import config
from emrobust.errors import InputError
from emrobust.evaluate import gather
from emrobust.evaluate.intervals import tail_p, two_sided_p
from emrobust.evaluate.significance import Scored, compare_recipes, contrast, holm, spread

SETTINGS = config.Evaluate(bootstrap=200)


def runs(quality, seeds, n=300, first=0):
    """Runs of one recipe: the same records, other luck."""
    stream = np.random.default_rng(0)
    truth = (stream.random((n, 4)) < 0.3).astype(np.uint8)
    found = []
    for seed in range(first, first + seeds):
        luck = np.random.default_rng([seed, int(100 * quality)]).random(truth.shape)
        said = np.clip(quality * truth + (1 - quality) * luck, 0, 1)
        found.append(gather(truth, said, None, list("abcd"), np.arange(n) // 2))
    return found


def test_holm_is_steps_of_bonferroni():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    p = [0.001, 0.02, 0.2]
    assert all(a >= b for a, b in zip(holm(p), false_discovery_control(p), strict=True))


def test_a_real_difference_is_found_and_none_is_not():
    said = compare_recipes({"weak": runs(0.3, 3), "strong": runs(0.42, 3)}, settings=SETTINGS)
    of = {claim.measure: claim for claim in said.claims}
    assert of["macro_f1"].significant
    assert of["macro_f1"].difference > 0.02
    assert of["macro_f1"].p <= of["macro_f1"].p_holm < 0.05
    low, high = of["macro_f1"].interval
    assert low < of["macro_f1"].difference < high
    same = compare_recipes({"a": runs(0.3, 3), "b": runs(0.3, 3, first=9)}, settings=SETTINGS)
    assert not any(claim.significant for claim in same.claims)
    json.dumps(said.to_json(), allow_nan=False)


def equal_recipes(seeds, of_patients, random):
    """The p-value of two recipes that differ in luck alone, and whether the interval holds 0."""
    sides = []
    for scores in random.normal(0, 1, (2, seeds)):
        # What the sample of patients did to the scores is one more draw of the same kind.
        draws, shift = random.normal(0, of_patients, 200), random.normal(0, of_patients)
        sides.append([Scored(score + shift, score + shift + draws) for score in scores])
    claim = contrast(("a", "b"), "macro_f1", *sides, SETTINGS)
    return claim.p, claim.interval[0] <= 0 <= claim.interval[1]


@pytest.mark.parametrize("of_patients", [0.001, 0.5])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_equal_recipes_differ_as_seldom_as_is_promised(seeds, of_patients):
    random = np.random.default_rng(7)
    found = [equal_recipes(seeds, of_patients, random) for _ in range(4000)]
    assert np.mean([p < 0.05 for p, _ in found]) < 0.065
    assert np.mean([inside for _, inside in found]) > 0.935


def test_two_seeds_are_not_taken_for_many():
    quiet = np.zeros(100)
    first = [Scored(s, s + quiet) for s in (0.335, 0.314)]
    second = [Scored(s, s + quiet) for s in (0.199, 0.057)]
    claim = contrast(("plain", "asl"), "micro_f1", first, second, SETTINGS)
    by_hand = ttest_ind([0.199, 0.057], [0.335, 0.314], equal_var=False)
    assert claim.difference == pytest.approx(-0.1965)
    assert claim.p == pytest.approx(by_hand.pvalue)
    assert claim.interval == pytest.approx(tuple(by_hand.confidence_interval(0.95)))
    same = contrast(("plain", "plain"), "micro_f1", first[:1] * 2, first[:1] * 2, SETTINGS)
    assert (same.p, same.interval) == (1.0, (0.0, 0.0))
    alone = contrast(("plain", "asl"), "micro_f1", first[:1], second[:1], SETTINGS)
    assert (alone.p, alone.reason) == (0.0, "seeds")


def test_one_seed_is_no_claim_however_large_the_difference():
    said = compare_recipes({"weak": runs(0.1, 1), "strong": runs(0.4, 3)}, settings=SETTINGS)
    assert not any(claim.significant for claim in said.claims)
    assert {claim.reason for claim in said.claims} == {"seeds"}
    assert said.short_of_seeds() == ["weak"]
    assert "weak: fewer than 2 seeds" in said.lines()[-1]
    assert "(one seed)" in said.lines()[0]
    assert said.recipes["weak"]["macro_f1"].deviation is None


def test_spread_is_the_sample_standard_deviation():
    assert spread([0.1, 0.3]).deviation == pytest.approx(np.std([0.1, 0.3], ddof=1))
    with pytest.raises(InputError, match="at least one"):
        spread([])


def test_other_records_and_no_bootstrap_are_refused():
    with pytest.raises(InputError, match="different records"):
        compare_recipes({"a": runs(0.5, 2), "b": runs(0.5, 2, n=200)}, settings=SETTINGS)
    with pytest.raises(InputError, match="bootstrap"):
        compare_recipes({"a": runs(0.5, 2)}, settings=config.Evaluate(bootstrap=0))
    with pytest.raises(InputError, match="bootstrap is 1"):
        compare_recipes({"a": runs(0.5, 2)}, settings=config.Evaluate(bootstrap=1))


def test_a_p_value_that_draws_cannot_count_comes_from_their_spread():
    draws = np.random.default_rng(0).normal(5, 1, 1000)
    assert two_sided_p(draws) > 0.001
    assert tail_p(draws) == pytest.approx(2 * norm.sf(5), rel=0.9)
    near = np.random.default_rng(0).normal(1, 1, 1000)
    assert tail_p(near) == two_sided_p(near)
    assert tail_p(np.zeros(100)) == 1.0

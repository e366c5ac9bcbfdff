import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from emrobust.split.stratify import _with_rows, deviations, mend, stratify, within_bound


@st.composite
def _groups(draw):
    groups, labels = draw(st.integers(3, 60)), draw(st.integers(0, 8))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = random.integers(1, draw(st.integers(2, 20)), groups)
    counts = random.binomial(sizes[:, None], random.random(labels) ** 3, (groups, labels))
    parts = draw(st.integers(2, min(groups, 6)))
    shares = random.dirichlet(np.full(parts, 5.0))
    keys = random.permutation(groups).astype(np.uint64)
    return sparse.csr_array(counts.astype(float)), sizes, shares, keys


@given(_groups(), st.randoms(use_true_random=False))
def test_every_group_gets_one_part_whatever_the_order(case, random):
    counts, sizes, shares, keys = case
    parts = stratify(counts, sizes, shares, keys)
    assert parts.shape == sizes.shape
    assert set(parts.tolist()) <= set(range(len(shares)))
    order = np.array(random.sample(range(len(sizes)), len(sizes)))
    again = stratify(sparse.csr_array(counts[order]), sizes[order], shares, keys[order])
    assert (again == parts[order]).all()


def _long_tail(rows, labels, seed):
    random = np.random.default_rng(seed)
    sizes = np.minimum(random.geometric(0.3, rows), 50)
    rare = 0.5 / np.arange(1, labels + 1) ** 1.4
    counts = random.binomial(sizes[:, None], rare[None, :])
    return sparse.csr_array(counts.astype(float)), sizes


def test_shares_are_kept_over_a_long_tail_and_large_groups():
    for seed in range(5):
        counts, sizes = _long_tail(1500, 40, seed)
        keys = np.random.default_rng(seed).permutation(1500).astype(np.uint64)
        shares = np.array([0.8, 0.1, 0.1])
        parts = stratify(counts, sizes, shares, keys)
        assert all(within_bound(found) for found in deviations(counts, sizes, parts))
        rows = np.bincount(parts, weights=sizes)
        assert np.abs(rows / rows.sum() - shares).max() < 0.005
        # Filling the small parts with the largest patients first would show here.
        mean = np.array([sizes[parts == part].mean() for part in range(3)])
        assert mean.max() / mean.min() < 1.15


def test_another_seed_gives_another_division():
    counts, sizes = _long_tail(300, 10, 0)
    shares = np.full(5, 0.2)
    keys = [np.random.default_rng(s).permutation(300).astype(np.uint64) for s in (1, 2)]
    assert (
        stratify(counts, sizes, shares, keys[0]) != stratify(counts, sizes, shares, keys[1])
    ).any()


def test_mending_repairs_a_bad_division():
    counts, sizes = _long_tail(1000, 30, 3)
    # All groups with the rarest label in one part, the rest at random.
    parts = np.random.default_rng(0).choice(3, 1000, p=[0.8, 0.1, 0.1])
    rarest = int(np.asarray(counts.sum(axis=0)).argmin())
    parts[counts[:, [rarest]].toarray().ravel() > 0] = 1
    before = [d for d in deviations(counts, sizes, parts) if not within_bound(d)]
    mended = mend(counts, np.array([0.8, 0.1, 0.1]), parts)
    assert before
    assert all(within_bound(found) for found in deviations(counts, sizes, mended))


def test_deviations_are_exact():
    counts = sparse.csr_array(np.array([[4.0, 0], [1, 0], [0, 2]]))
    found = deviations(counts, np.array([5, 1, 2]), np.array([0, 1, 1]))
    by_place = {(d.part, d.label): d for d in found}
    # Label 0: 5 of 8 rows; part 0 has 4 of its 5 rows, 3.125 would be its share.
    assert by_place[0, 0].rows == 4 - 3.125
    assert by_place[0, 0].relative == (4 - 3.125) / 3.125
    assert by_place[1, 1].relative == pytest.approx(5 / 3)


def test_no_single_move_or_swap_is_left_that_helps():
    random = np.random.default_rng(0)
    # Chronic diseases: nearly all visits of a patient have the label, so parts are lumpy.
    sizes = np.minimum(random.geometric(0.15, 400), 50)
    chronic = random.random((400, 40)) < 0.3 / np.arange(1, 41)
    counts = sparse.csr_array(random.binomial(sizes[:, None], 0.8 * chronic).astype(float))
    shares, keys = np.array([0.8, 0.1, 0.1]), np.arange(400).astype(np.uint64)
    parts = stratify(counts, sizes, shares, keys)
    assert (mend(_with_rows(counts, sizes), shares, parts) == parts).all()

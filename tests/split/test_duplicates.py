import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust.split.duplicates import cross_pairs, find, jaccard, rows_per_band
from emrobust.split.texts import shingles


def _texts(n, seed):
    """Texts of which many are none to three edits apart."""
    random = np.random.default_rng(seed)
    texts = []
    for _ in range(n):
        if texts and random.random() < 0.6:
            text = list(texts[int(random.integers(len(texts)))])
            for _ in range(int(random.integers(0, 4))):
                text[int(random.integers(len(text)))] = chr(int(random.integers(0x4E00, 0x9000)))
            texts.append("".join(text))
        else:
            texts.append("".join(map(chr, random.integers(0x4E00, 0x4E40, 80))))
    return texts


@pytest.mark.parametrize("threshold", [0.7, 0.9])
def test_finds_what_comparing_all_pairs_finds(written, threshold):
    texts = _texts(400, 1)
    parts = np.random.default_rng(2).choice(4, 400) - 1
    path = written([{"text_complaint": text} for text in texts])
    found = find(path, parts, np.arange(400), threshold, seed=5)
    sets = [np.unique(shingles([text])[0]) for text in texts]
    near, same = set(), 0
    for a, b in itertools.combinations(np.flatnonzero(parts >= 0).tolist(), 2):
        if parts[a] != parts[b]:
            same += texts[a] == texts[b]
            if texts[a] != texts[b] and jaccard(sets[a], sets[b]) >= threshold:
                near.add((a, b))
    assert len(near) > 20
    assert found.identical_pairs == same > 20
    # The bands promise 99 %; no pair may be found that is not one.
    assert 0.98 * len(near) <= found.near_pairs <= len(near)
    assert not found.near_is_lower_bound
    listed = {pair[:2] for pair in found.listed if texts[pair.first] != texts[pair.second]}
    assert listed <= near
    assert len(found.near_rows) == 3


def test_identical_texts_count_apart_when_two_patients_share_them(written):
    rows = [{"text_complaint": text} for text in ["ＡＢ c"] * 3 + ["abC"] + ["quite another"]]
    found = find(written(rows), np.array([0, 0, 1, 2, 2]), np.array([0, 1, 0, 2, 3]), 0.9, 0)
    # Pairs across parts: (0,2) of one patient; (0,3), (1,2), (1,3), (2,3) of two.
    assert found.identical_pairs == 5
    assert found.identical_pairs_of_different_patients == 4
    assert found.identical_texts == 1
    assert found.near_rows == [2, 1, 1]
    assert {pair.similarity for pair in found.listed} == {1.0}


def test_one_character_texts_do_no_harm(written):
    found = find(
        written([{"text_complaint": t} for t in "痛痛咳"]),
        np.array([0, 1, 1]),
        np.arange(3),
        0.9,
        0,
    )
    assert (found.identical_pairs, found.near_pairs) == (1, 0)


@given(st.floats(0.05, 1.0))
def test_bands_find_pairs_at_the_threshold(threshold):
    per_band = rows_per_band(threshold)
    assert 120 % per_band == 0
    assert 1 - (1 - threshold**per_band) ** (120 // per_band) >= 0.99 or per_band == 1


@given(st.sets(st.integers(0, 30), min_size=1), st.sets(st.integers(0, 30), min_size=1))
def test_jaccard_is_that_of_sets(one, other):
    arrays = [np.array(sorted(s), np.uint64) for s in (one, other)]
    assert jaccard(*arrays) == len(one & other) / len(one | other)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=40))
def test_cross_pairs_are_those_of_a_double_loop(rows):
    group, part = np.array(rows).T
    expected = sum(a[0] == b[0] and a[1] != b[1] for a, b in itertools.combinations(rows, 2))
    assert cross_pairs(group, part) == expected

"""Batches hold every row once, keep the budget, and follow from seed and epoch."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emrobust.train import batches

LENGTHS = st.lists(st.integers(1, 300), max_size=400).map(lambda x: np.array(x, dtype=np.int64))


@given(LENGTHS, st.integers(1, 40), st.integers(16, 2000), st.integers(0, 9), st.booleans())
def test_each_row_once_within_the_budget(lengths, size, budget, epoch, training):
    limits = {"batch_size": size, "batch_tokens": budget}
    if training:
        plan = batches.plan(lengths, **limits, seed=1, epoch=epoch)
    else:
        plan = batches.by_length(lengths, **limits)
    assert sorted(np.concatenate([*plan, []]).astype(int)) == list(range(len(lengths)))
    for rows in plan:
        assert 1 <= len(rows) <= size
        assert len(rows) == 1 or len(rows) * lengths[rows].max() <= budget


def test_order_is_a_function_of_seed_and_epoch():
    lengths = np.random.default_rng(0).integers(1, 100, 500)

    def flat(seed, epoch):
        plan = batches.plan(lengths, batch_size=8, batch_tokens=999, seed=seed, epoch=epoch)
        return np.concatenate(plan).tolist()

    assert flat(1, 2) == flat(1, 2)
    assert len({tuple(flat(*of)) for of in ((1, 2), (1, 3), (2, 2))}) == 3


def test_batches_hold_texts_of_like_length():
    lengths = np.random.default_rng(0).integers(1, 128, 5000)
    plan = batches.plan(lengths, batch_size=32, batch_tokens=4096, seed=0, epoch=0)
    padded = sum(len(rows) * lengths[rows].max() for rows in plan)
    assert lengths.sum() / padded > 0.93


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=7), min_size=1, max_size=9))
def test_padding_keeps_every_token(encoded):
    tokens = batches.pack(encoded)
    rows = np.arange(len(encoded))[::-1]
    ids, mask = batches.pad(tokens, rows, filler=0)
    assert [row[kept].tolist() for row, kept in zip(ids, mask, strict=True)] == encoded[::-1]
    assert not ids[~mask].any()

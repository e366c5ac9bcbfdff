"""Named generators are reproducible, independent and leave the global state alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emrobust import rng


@given(st.integers(0, 2**40), st.text(max_size=5), st.integers(0, 100))
def test_a_stream_is_a_function_of_seed_and_name(seed, name, step):
    assert rng.derive(seed, name, step) == rng.derive(seed, name, step)
    others = {rng.derive(seed, name, step + 1), rng.derive(seed + 1, name, step)}
    assert rng.derive(seed, name, step) not in others
    assert 0 <= rng.derive(seed, name, step) < 2**63


def test_parts_of_a_name_do_not_run_together():
    assert rng.derive(1, "ab", "c") != rng.derive(1, "a", "bc")


def test_the_global_generator_is_not_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - it is what we look at
    rng.generator(1, "x").normal(size=100)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_draws_are_a_function_of_the_name_and_uniform():
    draws = rng.Draws()

    def first(*names, count=20):
        draws.restart(1, *names)
        return [draws.random() for _ in range(count)]

    assert first("a", 1) == first("a", 1) != first("a", 2)
    many = first("b", count=40_000)
    assert all(0 <= number < 1 for number in many)
    assert len(set(many)) > 39_990  # of 32 bits, so that few are drawn twice
    assert abs(sum(many) / len(many) - 0.5) < 0.01  # seven standard deviations
    draws.restart(1, "c")
    assert sorted(draws.sample(range(9), 9)) == list(range(9))
    assert draws.choice("x") == "x"
    assert 0 <= draws.getrandbits(70) < 2**70

"""The adapter for TextAttack; the real package where it is installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust import perturb
from emrobust.attack import textattack as adapter
from emrobust.errors import ConfigError

WORDS = st.lists(st.sampled_from(["no", "pain", "5", "mg", "left", "x"]), max_size=6).map(" ".join)


@given(WORDS, WORDS)
def test_the_edits_between_two_texts_turn_one_into_the_other(before, after):
    assert perturb.apply(before, adapter.edits_between(before, after)) == after


def test_the_guards_judge_what_another_attack_has_made():
    assert adapter.permitted("severe headache", "severe hedache")
    assert not adapter.permitted("no chest pain", "chest pain")
    assert not adapter.permitted("aspirin 100 mg", "aspirin 10 mg")


@pytest.mark.skipif(importlib.util.find_spec("textattack") is not None, reason="it is installed")
def test_a_missing_package_is_said(single):
    with pytest.raises(ConfigError, match="cannot be imported"):
        adapter.wrap(single)


def test_the_real_package_attacks_our_model(single, ward):
    pytest.importorskip("textattack", reason="TextAttack is not installed: docs/attack.md")
    from textattack import Attack
    from textattack.goal_functions import UntargetedClassification
    from textattack.search_methods import GreedyWordSwapWIR
    from textattack.transformations import WordSwapRandomCharacterDeletion

    wrapped = adapter.wrap(single)
    assert np.allclose(wrapped(ward.texts[:3]).sum(1), 1.0)
    goal = UntargetedClassification(wrapped, query_budget=50)
    made = Attack(goal, [], WordSwapRandomCharacterDeletion(), GreedyWordSwapWIR("delete"))
    given = int(single.exact(ward.texts[:1]).argmax())
    assert made.attack(ward.texts[0], given).num_queries <= 50

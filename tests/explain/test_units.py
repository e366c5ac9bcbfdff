"""Units are ranges of the original text, and scores of tokens reach them whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emrobust.explain.units import split, spread, without
from emrobust.models.vocabulary import locate, tokenize

TEXTS = st.text("胸痛3天，无发热。体温38.5℃ BP120/80mmHg \nİß chest pain", max_size=40)


@pytest.mark.parametrize("level", ["word", "character"])
@given(TEXTS)
def test_units_cover_all_but_white_space_once(level, text):
    units = split(text, level)
    places = [place for start, end in units for place in range(start, end)]
    assert places == sorted(set(places))
    left = without(text, units)
    assert not left.strip()
    assert all(text[start:end].strip() == text[start:end] for start, end in units)


def test_a_number_is_one_unit_and_a_word_is_whole():
    text = "体温38.5℃，咳嗽"
    assert "38.5" in [text[a:b] for a, b in split(text, "character")]
    assert "咳嗽" in [text[a:b] for a, b in split(text, "word")]


def test_without_deletes_what_it_is_given_in_any_order():
    text = "无胸痛，咳嗽3天"
    units = split(text, "word")
    by_word = {text[a:b]: (a, b) for a, b in units}
    assert without(text, [by_word["咳嗽"], by_word["胸痛"]]) == "无，3天"


@given(TEXTS)
def test_tokens_are_located_in_the_text_as_given(text):
    spans = locate(text)
    assert len(spans) == len(tokenize(text))
    for token, (start, end) in zip(tokenize(text), spans, strict=True):
        assert token in text[start:end].lower() or len(text.lower()) != len(text)


@settings(deadline=None)
@given(TEXTS, st.integers(0, 2**32 - 1))
def test_spreading_keeps_the_sum(text, seed):
    spans = locate(text)
    scores = np.random.default_rng(seed).normal(size=len(spans))
    for level in ("word", "character"):
        units = split(text, level)
        assert spread(spans, scores, units, len(text)).sum() == pytest.approx(scores.sum())


def test_a_token_over_two_units_is_shared_by_characters():
    found = spread([(0, 4)], np.array([8.0]), [(0, 1), (1, 4)], 4)
    assert found.tolist() == [2.0, 6.0]

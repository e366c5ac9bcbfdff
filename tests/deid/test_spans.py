"""Overlaps are resolved by the stated rules; edits from the end touch nothing else."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust.deid.spans import Span, apply, resolve

KINDS = ("phone", "date", "patient_name", "address")
TEXT = "患者张伟于2023年5月3日由安江市中医院转来，电话13812345678。" * 2


@st.composite
def spans(draw):
    start = draw(st.integers(0, len(TEXT)))
    end = draw(st.integers(start, min(len(TEXT), start + 20)))
    score = draw(st.sampled_from((0.5, 0.9, 1.0)))
    return Span(start, end, draw(st.sampled_from(KINDS)), score, "a", "because")


def covered(of):
    return {at for span in of for at in range(span.start, span.end)}


@given(st.lists(spans(), max_size=12))
def test_nothing_overlaps_and_no_letter_is_given_back(found):
    kept = resolve(found, TEXT)
    assert all(a.end <= b.start for a, b in itertools.pairwise(kept))
    letters = {at for at in covered(found) if TEXT[at].isalnum()}
    assert letters <= covered(kept) <= covered(found)
    assert resolve(kept, TEXT) == kept
    assert resolve(reversed(found), TEXT) == kept


@given(st.lists(spans(), max_size=8))
def test_edits_touch_nothing_else(found):
    kept = resolve(found, TEXT)
    edited = apply(TEXT, [(span, f"<{span.kind}>") for span in kept])
    pieces, done = [], 0
    for span in kept:
        pieces += [TEXT[done : span.start], f"<{span.kind}>"]
        done = span.end
    assert edited == "".join(pieces) + TEXT[done:]


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (  # the longer one wins, whatever its score
            [Span(0, 3, "phone", 1.0, "a", ""), Span(0, 5, "date", 0.5, "b", "")],
            [(0, 5, "date")],
        ),
        (  # of two as long, the surer one
            [Span(0, 3, "phone", 0.5, "a", ""), Span(0, 3, "date", 0.9, "b", "")],
            [(0, 3, "date")],
        ),
        (  # of two as sure, the kind that PLACEHOLDERS lists first
            [Span(0, 3, "date", 0.9, "a", ""), Span(0, 3, "phone", 0.9, "b", "")],
            [(0, 3, "phone")],
        ),
        (  # what sticks out of a winner is kept
            [Span(0, 6, "address", 0.9, "a", ""), Span(4, 9, "date", 0.9, "b", "")],
            [(0, 6, "address"), (6, 9, "date")],
        ),
    ],
)
def test_the_rules_in_their_order(found, kept):
    assert [(s.start, s.end, s.kind) for s in resolve(found)] == kept


def test_a_rest_of_marks_alone_is_dropped():
    text = "1999年。，"
    found = [Span(0, 5, "date", 0.9, "a", ""), Span(3, 7, "phone", 0.9, "b", "")]
    assert [s.kind for s in resolve(found, text)] == ["date"]


def test_overlapping_edits_are_refused():
    overlapping = [(Span(0, 4, "date", 1, "a", ""), "x"), (Span(2, 6, "date", 1, "a", ""), "y")]
    with pytest.raises(ValueError, match="overlaps"):
        apply(TEXT, overlapping)

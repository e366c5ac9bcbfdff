"""Edits do what a plain reading of them says, and offsets point at what stayed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust.perturb.edits import Edit, Offsets, apply, join, settle

TEXTS = st.text(alphabet="无痛3左，a", min_size=1, max_size=24)


@st.composite
def edited(draw):
    text = draw(TEXTS)
    place = st.integers(0, len(text))
    pairs = draw(st.lists(st.tuples(place, place, st.text("XYZ", max_size=3)), max_size=8))
    return text, [Edit(min(a, b), max(a, b), new) for a, b, new in pairs]


@given(edited())
def test_edits_settle_in_order_without_overlap_the_first_given_first(case):
    _, edits = case
    settled = settle(edits)
    assert settled == sorted(settled)
    covered: set[int] = set()
    for edit in settled:
        replaced = set(range(edit.start, edit.end))
        assert not replaced & covered
        covered |= replaced
    # Each that was left out meets one that was given before it and kept.
    for number, edit in enumerate(edits):
        if edit not in settled:
            assert any(len(settle([other, edit])) == 1 for other in edits[:number])
    assert settle(settled) == settled


@given(edited())
def test_characters_that_no_edit_replaces_are_found_where_the_offsets_say(case):
    text, edits = case
    settled = settle(edits)
    new, moved = apply(text, edits), Offsets(settled)
    assert new == join(text, settled)
    assert len(new) == len(text) + sum(len(e.text) - (e.end - e.start) for e in settled)
    for place in range(len(text)):
        if not any(e.start <= place < e.end for e in settled):
            assert new[slice(*moved.span(place, place + 1))] == text[place]
            assert new[moved.place(place)] == text[place]
            assert not moved.touched(place, place + 1)


@given(edited(), st.data())
def test_spans_map_to_themselves_or_to_what_replaced_them(case, data):
    text, edits = case
    moved, new = Offsets(settle(edits)), apply(text, edits)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    first, last = moved.span(start, end)
    assert 0 <= first <= last <= len(new)
    if not moved.touched(start, end):
        assert new[first:last] == text[start:end]
    from_, to = moved.cover(start, end)
    assert from_ <= start
    assert to >= end
    inside = [e for e in moved.settled if from_ <= e.start and e.end <= to]
    inside = [e for e in inside if e.start < e.end or from_ < e.start < to]
    shifted = [Edit(e.start - from_, e.end - from_, e.text) for e in inside]
    assert new[first:last] == join(text[from_:to], shifted)


def test_insertions_at_one_place_meet_and_at_an_edge_do_not():
    assert apply("痛", [Edit(0, 0, "头"), Edit(0, 0, "腹"), Edit(0, 1, "疼")]) == "头疼"
    assert apply("头痛", [Edit(0, 2, "腹泻"), Edit(1, 1, "部"), Edit(2, 2, "。")]) == "腹泻。"


@pytest.mark.parametrize("edit", [Edit(2, 1, ""), Edit(0, 9, ""), Edit(-1, 0, "")])
def test_edits_outside_the_text_are_refused(edit):
    with pytest.raises(ValueError, match="edit"):
        apply("头痛", [edit])

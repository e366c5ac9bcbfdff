"""Whatever the steps do, every character of the new text knows where it comes from."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emrobust.normalize import Edit, Normalized, Origin
from emrobust.normalize.alignment import apply, compose


@st.composite
def edited(draw, text: str) -> list[Edit]:
    """Some edits of a text: in order, not overlapping, insertions and deletions among them."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    apart = [span for n, span in enumerate(spans) if n == 0 or span[0] > spans[n - 1][1]]
    return [Edit(start, end, draw(st.text("xyz", max_size=3))) for start, end in apart]


@st.composite
def histories(draw) -> tuple[str, Normalized]:
    original = draw(st.text("abcdefgh", max_size=20))
    given = Normalized(original)
    for _ in range(draw(st.integers(1, 4))):
        edits = draw(edited(given.text))
        given = Normalized(apply(given.text, edits), compose(given.origins, edits))
    return original, given


@settings(deadline=None)
@given(histories())
def test_the_regions_rebuild_the_new_text_and_the_old_one(history):
    original, given_ = history
    new = old = ""
    place = first = 0
    for region in given_.origins:
        assert region.start >= place
        assert region.first >= first
        kept = given_.text[place : region.start]
        assert kept == original[first : region.first]
        new += kept + given_.text[region.start : region.end]
        old += kept + original[region.first : region.last]
        place, first = region.end, region.last
    assert new + given_.text[place:] == given_.text
    assert old + original[first:] == original
    assert given_.text[place:] == original[first:]


@settings(deadline=None)
@given(histories(), st.data())
def test_a_range_goes_back_to_what_gave_each_of_its_characters(history, data):
    original, given_ = history
    start = data.draw(st.integers(0, len(given_.text)))
    end = data.draw(st.integers(start, len(given_.text)))
    first, last = given_.to_original(start, end)
    assert 0 <= first <= last <= len(original)
    inside = [given_.to_original(place, place + 1) for place in range(start, end)]
    if inside:
        assert (first, last) == (min(a for a, _ in inside), max(b for _, b in inside))
        assert inside == sorted(inside)
    else:
        assert first == last
    for place, (a, b) in zip(range(start, end), inside, strict=True):
        if not any(region.start <= place < region.end for region in given_.origins):
            assert original[a:b] == given_.text[place]


def test_a_cut_region_is_taken_whole_and_a_deletion_belongs_to_no_neighbour():
    given_ = Normalized("血压120/80", (Origin(0, 2, 0, 3),))  # "BP 120/80"
    assert given_.to_original(0, 1) == (0, 3)
    assert given_.to_original(2, 5) == (3, 6)
    deleted = Normalized("ab", (Origin(1, 1, 1, 4),))  # "a___b"
    assert deleted.to_original(0, 1) == (0, 1)
    assert deleted.to_original(1, 2) == (4, 5)
    assert deleted.to_original(0, 2) == (0, 5)


def test_a_range_outside_is_an_error():
    with pytest.raises(ValueError, match="no range"):
        Normalized("ab").to_original(1, 3)

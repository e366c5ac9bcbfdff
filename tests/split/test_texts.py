import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emrobust.split.texts import SHINGLE, digest, normalise, shingles


def test_normalising_levels_width_case_and_space_only():
    assert normalise(" ＣＴ　平扫：无异常\n") == normalise("ct平扫:无异常")
    assert normalise("无胸痛") != normalise("胸痛")
    assert normalise("37.5") != normalise("375")


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
def test_a_texts_shingles_do_not_depend_on_its_neighbours(texts):
    hashes, starts = shingles(texts)
    split = np.split(hashes, starts[1:])
    assert len(split) == len(texts)
    for text, own in zip(texts, split, strict=True):
        assert (own == shingles([text])[0]).all()
        assert len(own) == max(len(text) - SHINGLE + 1, 1)


@given(st.text(), st.text())
def test_digests_agree_exactly_when_texts_do(one, other):
    assert (digest(one) == digest(other)) == (one == other)

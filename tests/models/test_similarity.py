"""The nearest texts are those of the whole matrix of cosines."""

from __future__ import annotations

import numpy as np

from emrobust.models.similarity import Similarity


def test_it_is_the_same_as_looking_at_all_pairs(easy):
    known, asked = easy(120)[0], easy(300, seed=1)[0]
    of = Similarity(known)
    found = of.nearest(asked, 3)
    vectors = of._vectorizer.transform([*known, *asked]).toarray()
    cosine = vectors[120:] @ vectors[:120].T
    assert np.allclose(found.cosine, -np.sort(-cosine, axis=1)[:, :3], atol=1e-6)
    assert np.allclose(np.take_along_axis(cosine, found.rows, axis=1), found.cosine, atol=1e-6)


def test_an_askers_own_texts_are_left_out_and_too_few_are_said_to_be():
    of = Similarity(["咳嗽三天", "咳嗽三天", "皮疹瘙痒"], ["a", "b", "b"])
    found = of.nearest(["咳嗽三天", ""], 4, ["b", "c"])
    assert found.rows[0].tolist() == [0, -1, -1, -1]
    assert found.rows[1, 3] == -1
    assert found.cosine[0, 0] > 0.99
    assert (found.cosine[1] == 0).all()

"""The masked language model answers for characters, place by place."""

import math

import pytest

from emrobust.encoder.scoring import CharacterScorer
from emrobust.errors import ModelError
from emrobust.normalize import Normalizer


@pytest.fixture(scope="module")
def scorer() -> CharacterScorer:
    return CharacterScorer("emrobust/zh-small")


def test_scores_are_log_probabilities_and_the_right_character_is_likelier(scorer):
    text = "患者3天前出现发热、刻嗽、咳痰，T38.5℃。"
    place = text.index("刻")
    (scores,) = scorer(text, [place], ["刻咳颗"])
    assert all(score < 0 for score in scores)
    assert scores[1] > scores[0]
    assert sum(map(math.exp, scores)) < 1


def test_a_place_inside_a_longer_token_or_behind_the_room_is_never_likelier(scorer):
    text = "血WBC" + "，咳" * 600
    scores = scorer(text, [0, 2, len(text) - 1], ["血雪", "BD", "咳刻"])
    assert max(scores[0]) > -math.inf
    assert scores[1] == scores[2] == [-math.inf] * 2
    assert scorer("", [], []) == []


def test_the_step_mends_a_plain_slip_and_a_saved_normaliser_finds_its_model(scorer, tmp_path):
    wrong = "患者3天前出现发热、刻嗽、咳痰，无胸痛。"
    mend = Normalizer(["typos"], scorer=scorer)
    assert mend([wrong]) == [wrong.replace("刻嗽", "咳嗽")]
    aligned = mend.align(wrong)
    place = aligned.text.index("咳嗽")
    assert aligned.to_original(place, place + 1) == (wrong.index("刻"), wrong.index("刻") + 1)
    mend.save(tmp_path / "normalizer")
    again = Normalizer.load(tmp_path / "normalizer", CharacterScorer)
    assert again([wrong]) == mend([wrong])


def test_an_unknown_checkpoint_is_told():
    with pytest.raises(ModelError):
        CharacterScorer("no/such/folder")

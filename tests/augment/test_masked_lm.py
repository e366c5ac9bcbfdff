"""Words filled by a masked language model: few, other, and nothing that the guards protect."""

from __future__ import annotations

import pytest

from emrobust import lexicon, perturb
from emrobust.augment import terms
from emrobust.augment.cache import Cache
from emrobust.augment.masked_lm import Job, MaskedLM, candidates, find_tokens, groups, judge
from emrobust.encoder import words
from emrobust.errors import ConfigError, ModelError, RunError
from emrobust.perturb import Edit

NOTES = [
    "患者今日来诊，无发热，其咳嗽流涕往来三天，既往体健",
    "患者诊今日左侧腹痛，服用头孢2次，来诊时T38.5，未见皮疹，今日往诊",
    "患者来诊，其父亲有糖尿病，今日不适，考虑皮疹？",
    "今日来诊他既往体健患者来往今日诊",
]


@pytest.fixture(scope="module")
def model(masked_lm) -> MaskedLM:
    return MaskedLM(str(masked_lm))


def found(text: str) -> list[str]:
    return [match.form for match in lexicon.load().find(text)]


def test_what_is_guarded_and_every_term_stay(model):
    jobs = [Job(text, variant) for text in NOTES for variant in range(20)]
    filled = model.fill(jobs, Cache())
    changed = 0
    for (text, _), done in zip(jobs, filled, strict=True):
        assert perturb.facts(done.text) == perturb.facts(text)
        assert perturb.permits(text, done.edits)
        guarded = perturb.protected(text)
        for edit in done.edits:
            assert edit.text != text[edit.start : edit.end]
            assert edit.text in groups()[text[edit.start : edit.end]]
            assert not any(s < edit.end and edit.start < e for s, e in guarded)
        told = [t for t in found(text) if t in ("咳嗽", "流涕", "腹痛", "皮疹", "糖尿病")]
        assert [t for t in found(done.text) if t in told] == told
        changed += bool(done.edits)
    assert changed > len(jobs) / 2


def test_a_tenth_to_a_seventh_of_the_words_is_hidden(model):
    text = "今日来诊，" * 30
    _, count = candidates(text)
    for variant in range(20):
        hidden = len(model.choose(Job(text, variant)))
        assert round(0.10 * count) <= hidden <= round(0.15 * count)
    assert model.choose(Job(text, 1)) != model.choose(Job(text, 2))
    assert model.choose(Job("无发热", 0)) == []


def test_answers_do_not_depend_on_company_order_or_cache(model, tmp_path):
    jobs = [Job(text, variant) for text in NOTES for variant in range(3)]
    whole = model.fill(jobs, Cache())
    assert model.fill(jobs[::-1], Cache())[::-1] == whole
    with Cache(tmp_path / "cache.sqlite") as cache:
        assert model.fill(jobs[:5], cache) == whole[:5]
        assert model.fill(jobs, cache) == whole


def test_what_is_cached_is_not_asked_for_again(model, tmp_path, monkeypatch):
    jobs = [Job(text, 0) for text in NOTES]
    with Cache(tmp_path / "cache.sqlite") as cache:
        before = model.fill(jobs, cache)
    monkeypatch.setattr(model, "_propose", lambda _: pytest.fail("asked again"))
    with Cache(tmp_path / "cache.sqlite") as cache:
        assert model.fill(jobs, cache) == before
    content = (tmp_path / "cache.sqlite").read_bytes()
    assert not any(text.encode() in content for text in NOTES)


def test_blank_texts_have_nothing_to_fill(model):
    assert [done.text for done in model.fill([Job("", 0), Job(" \n", 0)], Cache())] == ["", " \n"]


def test_words_that_may_be_filled_tell_nothing_and_have_others_beside_them():
    for word, group in groups().items():
        assert words.cut(word) == [word]
        assert not perturb.protected(word)
        assert not terms.find(word)
        if not word.isascii():  # of a token a character
            assert any(len(other) == len(word) for other in group if other != word)
    listed = [word for group in set(groups().values()) for word in group]
    assert len(listed) == len(groups())


@pytest.mark.parametrize(
    "finding",
    [
        *("咳嗽", "HA", "2型", "LVH", "食纳可", "阵发性", "水样便", "浮肿"),
        *("便中带血", "纳可便调", "停经见红", "未及包块", "PT延长", "AS病史"),
        *("hepatitis A", "influenza a positive", "severe AS", "pt 35 seconds"),
        "headache since Monday",
    ],
)
def test_what_no_table_knows_as_a_finding_is_not_hidden(finding):
    assert candidates(finding)[0] == []


def test_a_filling_that_makes_a_fact_is_refused():
    text = "患者来诊腹痛"
    assert judge(text, [Edit(2, 4, "右侧")]).text == text
    assert judge(text, [Edit(2, 4, "发热")]).text == text
    assert judge(text, [Edit(2, 4, "就医")]).text == "患者就医腹痛"


def test_words_that_share_a_token_are_left_out():
    offsets = [(0, 0), (0, 1), (1, 2), (2, 4), (4, 5), (0, 0)]
    found = list(find_tokens([(0, 2), (2, 3), (4, 5)], offsets))
    assert found == [(0, 2, [1, 2]), (4, 5, [4])]


def test_what_cannot_be_used_is_named(bert, tmp_path):
    with pytest.raises(ModelError, match="without its masked-LM head"):
        MaskedLM(str(bert))
    with pytest.raises(ConfigError, match="shares of masked words"):
        MaskedLM(str(bert), 0.5, 0.1)
    (tmp_path / "no.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(RunError, match="no cache"):
        Cache(tmp_path / "no.sqlite")

"""All steps together: settled after one go, aligned, and no number, negation or side lost."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emrobust import config, registry, runs
from emrobust.errors import ConfigError
from emrobust.models.tfidf import Tfidf
from emrobust.normalize import Normalizer, names_for
from emrobust.normalize.step import FOLDER
from emrobust.train import estimators

STEPS = tuple(name for name in registry.names("normalizer") if name != "typos")
RULES = tuple(name for name in STEPS if name != "terms")
ALL = Normalizer(STEPS)
WITHOUT_RESIDUE = Normalizer(set(STEPS) - {"residue"})
# fmt: off
PIECES = (
    "T38.5", "Ｔ：３８．５℃", "BP120/80mmhg", "BP:142/90", "P 88", "R20次/min", "HR96bpm",
    "SpO2 98%", "P2亢进", "T12椎", "WBC↑", "N%↑", "CRP", "BS", "BS活跃", "空腹BS 7.2", "PE：", "PE",
    "RA", "RF(+)", "AS", "CA", "Ca 2.1mmol/l", "咳嗽", "發熱", "無胸痛", "无CP", "否认HTN、DM",
    "左膝", "右侧", "双下肢edema(-)", "关节晨僵", "腹软", "骶髂", "2d", "3w前", "4 h", "个礼拜",
    "两个礼拜", "3m", "q8h", "tid", "38度", "【主诉】", "【】", "____", "主诉：", "CC:", "查体",
    "既往 ", "辅检 ", "请填写", "无殊 无殊", "&nbsp;", "&lt;", "<b>", "</b>", "<sup>9</sup>",
    "×10^9/L", "（", "）", "(", ")", "，", "。", "、", "；", ",", ":", "：", " ", "\n", "\u3000",
    "0.5", "12", "3", "/", "-", "~", "%", "↑↑", "↓", "拉肚子", "肚子疼",
)
# fmt: on
texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
# Digits that are letters of a name, not a figure: they may go with the name.
_NAMES = re.compile(r"SpO2|T12|P2|</?\w+>|&\w+;|\^")
_NUMBER = re.compile(r"\d+")
_NEGATION = re.compile(r"无|否认|不|\(-\)")
_SIDE = re.compile("左|右|双")


def numbers(text: str) -> list[str]:
    """All digits in order: where names and templates are cut out, numbers may not merge."""
    plain = _NAMES.sub(" ", text.replace("，", " "))
    return [str(int(number)) for number in _NUMBER.findall(plain)]


@settings(deadline=None, max_examples=300)
@given(texts)
def test_a_second_time_changes_nothing(text):
    once = ALL([text])[0]
    assert ALL([once]) == [once]


@settings(deadline=None, max_examples=300)
@given(texts)
def test_the_aligned_text_is_the_same_and_rebuilds_the_original(text):
    aligned = ALL.align(text)
    assert [aligned.text] == ALL([text])
    old, place, first = "", 0, 0
    for region in aligned.origins:
        assert aligned.text[place : region.start] == text[first : region.first]
        old += text[first : region.last]
        place, first = region.end, region.last
    assert old + text[first:] == text
    assert aligned.text[place:] == text[first:]


@settings(deadline=None, max_examples=300)
@given(texts)
def test_no_number_negation_or_side_is_lost_or_changed(text):
    # A clause said twice is said once by `residue`, whose own test this is not.
    after, before = WITHOUT_RESIDUE([text])[0], text.replace("無", "无").replace("（-）", "(-)")
    for fact in (_NEGATION, _SIDE):
        assert not Counter(fact.findall(before)) - Counter(fact.findall(after)), fact.pattern
    for new in (after, ALL([text])[0]):
        assert "".join(numbers(text)) == "".join(numbers(new))


def test_the_notes_that_misled_the_paper_read_alike():
    full = "体温38.5℃，咽痛，咳嗽2天，血压120/80mmHg"
    short = "Ｔ38.5,咽痛,咳嗽2d,BP:120/80"
    assert Normalizer(RULES)([short]) == [full]


def test_english_gets_no_chinese_steps():
    every = dict.fromkeys(STEPS, True)
    assert set(names_for("en", every)) == {"markup", "width", "residue"}
    assert set(names_for("zh", every)) == set(STEPS)
    assert set(config.Normalize.model_fields) == {*STEPS, "typos", "typos_checkpoint", "tables"}


def test_a_run_keeps_its_tables_whatever_becomes_of_others(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    rows = "abbreviation,expansion,type,before,after,near,refuse,alone\nQX,气胸,disease,,,,,1\n"
    (own / "abbreviations.csv").write_text(rows, encoding="utf-8")
    Normalizer(("abbreviations", "vitals", "terms"), own).save(tmp_path / "saved")
    (own / "abbreviations.csv").unlink()
    again = Normalizer.load(tmp_path / "saved")
    assert again(["QX，T38.5，拉肚子"]) == ["气胸，体温38.5℃，腹泻"]
    saved = (tmp_path / "saved" / "vitals.csv").read_text(encoding="utf-8")
    assert saved == (FOLDER / "vitals.csv").read_text(encoding="utf-8")


def project(**normalize: object) -> config.Project:
    source = {"path": "visits.csv", "columns": {"record_id": "id", "text": ["主诉"]}}
    return config.parse({"source": source, "normalize": normalize})


def test_a_model_reads_normalised_texts_in_training_and_after_loading(tmp_path):
    words = ["体温38.5℃", "体温36.5℃", "咳嗽2天", "腹泻2天"]
    truth = np.array(["a", "b", "a", "b"])
    build = {"classes": ["a", "b"], "task": "single"}
    written = ["Ｔ38.5", "T：36.5", "咳嗽2d", "腹泻2d"]
    plain = Tfidf(min_texts=1, **build).fit(words, truth)
    made = estimators.build(project(**dict.fromkeys(RULES, True)), ["a", "b"])
    assert made.normalizer is not None
    model = Tfidf(normalizer=made.normalizer, min_texts=1, **build).fit(written, truth)
    assert np.allclose(model.predict_proba(written), plain.predict_proba(words), atol=1e-6)
    model.save(tmp_path / "model")
    again = estimators.load(tmp_path / "model")
    assert np.allclose(again.predict_proba(written), plain.predict_proba(words), atol=1e-6)
    assert "normalizer" not in runs.read_json(tmp_path / "model" / "estimator.json")["parameters"]


def test_without_steps_there_is_no_normaliser_and_a_wrong_key_is_an_error():
    off = dict.fromkeys(RULES, False)
    assert estimators.build(project(**off), ["a"]).normalizer is None
    with pytest.raises(ConfigError, match="Did you mean `vitals`"):
        project(vital=True)

"""What comes back from another language is kept only if it still tells the same."""

from __future__ import annotations

import json

import pytest

from emrobust.augment import back_translation
from emrobust.augment.back_translation import look_up, measure, read_table, refuse, translate
from emrobust.augment.cache import Cache
from emrobust.augment.marian import Marian, Pair
from emrobust.errors import ModelError, SourceError

TEXT = "患者今日来诊，咳嗽三天，无胸痛，无发热，既往体健，今来我院就诊"


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (TEXT.replace("今来我院", "今日来我院"), None),
        (TEXT.replace("咳嗽三天", "咳嗽3天"), None),
        (TEXT, "copy"),
        (TEXT.replace("，", ","), "copy"),
        ("", "missing"),
        ("病人咳了几天来看病", "bleu"),
        (TEXT.replace("无胸痛", "有胸痛"), "guards"),
        (TEXT.replace("三天", "四天"), "guards"),
        (TEXT.replace("无胸痛，无发热", "无胸痛，发热"), "guards"),
        (TEXT.replace("咳嗽", "腹泻"), "terms"),
    ],
)
def test_only_what_tells_the_same_is_kept(other, reason):
    assert refuse(TEXT, other) == reason
    if reason == "guards":
        assert measure(TEXT, other) >= 0.75  # which is why BLEU alone will not do


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("患者今日来诊，急性起病，头痛三天", "患者今日来我院，慢性起病，头痛三天"),
        ("患者今日来诊，轻度水肿，头痛三天", "患者今日来我院，重度水肿，头痛三天"),
        ("患者今日来诊，心电图见LVH，头痛三天", "患者今日来我院，心电图见RVH，头痛三天"),
    ],
)
def test_no_small_edit_makes_another_finding(text, other):
    assert refuse(text, other, bleu=0.3) in {"guards", "terms"}
    assert refuse(text, text.replace("来诊", "来我院"), bleu=0.3) is None


def test_tables_are_read_and_counted(tmp_path):
    good = TEXT.replace("今来我院", "今日来我院")
    (tmp_path / "t.csv").write_text(f'text,translation\n"{TEXT}","{good}"\n腹痛,腹痛\n', "utf-8")
    lines = [{"text": TEXT, "translation": good}, {"text": "腹痛", "translation": "腹痛"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for name in ("t.csv", "t.jsonl"):
        done = look_up([TEXT, "腹痛", "头痛"], read_table(tmp_path / name))
        assert [one.text for one in done] == [good, None, None]
        assert back_translation.count(done) == {"copy": 1, "kept": 1, "missing": 1}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", "text,other\n腹痛,x\n", "row 2"),
        ("a.jsonl", '{"text": "腹痛"}\n', "row 1"),
        ("a.jsonl", '{"text": "a", "translation": "b"}\n{腹痛\n', "row 2"),
        ("absent.csv", None, "cannot be read"),
    ],
)
def test_a_wrong_table_names_its_row_and_no_text(name, content, says, tmp_path):
    if content is not None:
        (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(SourceError, match=says) as caught:
        read_table(tmp_path / name)
    assert "腹痛" not in str(caught.value)


class Recorder:
    """Takes texts there and back by changing one word, and remembers what it was asked."""

    fingerprint = "recorder"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts):
        self.asked += texts
        return [text.replace("今来", "今日来") for text in texts]


def test_a_translation_is_paid_once(tmp_path):
    first, second = Recorder(), Recorder()
    with Cache(tmp_path / "cache.sqlite") as cache:
        done = translate([TEXT, TEXT], first, cache)
    assert first.asked == [TEXT]
    with Cache(tmp_path / "cache.sqlite") as cache:
        assert translate([TEXT], second, cache) == done[:1]
        assert second.asked == []
        # A stricter filter judges what is there anew.
        assert translate([TEXT], second, cache, bleu=0.999)[0].reason == "bleu"
        assert second.asked == []
    assert done[0].reason is None


def test_marian_goes_there_and_back(translator):
    pair = Pair(str(translator), str(translator))
    texts = ["患者咳嗽三天。无发热；\n腹痛", "", "头痛"]
    done = pair(texts)
    assert pair(texts) == done
    assert done[1] == ""
    assert done[0].count("\n") == 1
    assert Marian(str(translator))(["咳嗽"])[0] != "咳嗽"


def test_other_models_are_refused(bert, tmp_path):
    with pytest.raises(ModelError, match="not a Marian translator"):
        Marian(str(bert))
    with pytest.raises(ModelError, match="does not exist"):
        Marian(str(tmp_path / "absent"))

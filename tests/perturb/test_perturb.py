"""The same seed perturbs the same way, anywhere; settings out of range are refused."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emrobust import registry
from emrobust.errors import ConfigError
from emrobust.perturb import Edit, Perturbation, apply, facts, perturb, perturb_all
from emrobust.perturb.deletion import Deletion
from emrobust.perturb.guards import permits
from emrobust.perturb.homophone import Homophone
from emrobust.perturb.perturbation import Gaps
from emrobust.perturb.punctuation import Punctuation

NAMES = registry.names("perturbation")
NOTE = (
    "患者3天前受凉后发热，T38.5℃，伴咳嗽、咳痰，无胸痛、咯血。服布洛芬0.3g tid。"
    "既往体健，否认过敏史。"
)
ENGLISH = (
    "Patient does not smoke. Reports severe headache and shortness of breath for 3 days, no fever."
)


@pytest.mark.parametrize("name", NAMES)
def test_a_component_says_where_it_comes_from_and_acts_by_its_seed_alone(name):
    component = registry.get("perturbation", name)()
    assert isinstance(component, Perturbation)
    assert registry.sources("perturbation")[name] == component.source
    texts = [
        NOTE,
        ENGLISH,
        "",
        "，",
        "咳",
        "患者王小明，接诊医师李大伟，转自安平市中心医院，住12床。",
    ]
    once = [perturb(t, [component], 3, n) for n, t in enumerate(texts)]
    again = list(perturb_all(reversed(texts), [component], 3, reversed(range(len(texts)))))
    assert once == again[::-1]
    for text, done in zip(texts, once, strict=True):
        assert done.text == apply(text, done.edits)
    seeds = [perturb(t, [component], seed, 0).text != t for t in texts for seed in range(30)]
    assert any(seeds)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_a_rate_out_of_range_is_refused(name, rate):
    with pytest.raises(ConfigError, match="rate"):
        registry.get("perturbation", name)(rate=rate)


def test_an_unknown_setting_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="rate"):
        registry.settings("perturbation", "deletion", {"rat": 0.1})


class Reckless(Perturbation):
    """Replaces, drops and inserts anywhere."""

    source = "a test"
    language = "both"
    rewrites = True

    def propose(self, text, random):
        edits = []
        for place in range(len(text)):
            if random.random() < 0.3:
                end = place + random.choice((0, 1, 1, 2))
                edits.append(
                    Edit(
                        place,
                        min(end, len(text)),
                        random.choice(["", "无", "，", "左", "3", "痛", "x"]),
                    )
                )
        return edits


class Wild(Reckless):
    rewrites = False


WORDS = st.lists(
    st.sampled_from(
        [
            "无",
            "咳嗽",
            "，",
            "、",
            "。",
            "左",
            "膝痛",
            "3天",
            "T38.5",
            "(-)",
            "？",
            "母亲",
            "既往",
            "有",
            "。",
            "布洛芬",
            "升高",
            "病史",
            " ",
        ]
    ),
    max_size=14,
).map("".join)


@settings(max_examples=300)
@given(WORDS, st.integers(0, 1000), st.sampled_from([Reckless, Wild]))
def test_whatever_is_proposed_the_facts_stay(text, seed, kind):
    done = perturb(text, [kind()], seed, "note")
    assert facts(done.text) == facts(text)
    assert permits(text, done.edits)


class Rewording(Perturbation):
    """Puts equal, opposite and other words for those that it finds."""

    source = "a test"
    language = "both"
    rewrites = True
    TABLE = (
        ("升高", ("降低", "增高", "")),
        ("降低", ("升高", "下降")),
        ("0.3g", ("0.3克", "0.6g", "0.3", "3克")),
        ("3天", ("3d", "三天", "4天", "3")),
        ("无", ("没有", "有", "未见")),
        ("未见好转", ("不见好", "好转")),
        ("左", ("右", "左侧", "")),
        ("，", ("。", "、", "")),
        ("咳嗽", ("咳", "无咳嗽", "喀嗽")),
        ("38.5", ("３８．５", "38", "38。5")),
        ("病史", ("史", "病")),
    )

    def propose(self, text, random):
        return [
            Edit(place, place + len(old), random.choice(news))
            for old, news in self.TABLE
            for place in range(len(text))
            if text.startswith(old, place) and random.random() < 0.5
        ]


@settings(max_examples=400)
@given(
    st.lists(
        st.sampled_from(
            [old for old, _ in Rewording.TABLE] + ["血压", "每次", "膝痛", "体温", " "]
        ),
        max_size=10,
    ).map("".join),
    st.integers(0, 1000),
)
def test_whatever_is_reworded_the_guards_permit(text, seed):
    done = perturb(text, [Rewording()], seed, "note")
    assert permits(text, done.edits)


def test_nothing_is_turned_into_its_opposite_where_nothing_else_is_guarded():
    class Turning(Rewording):
        TABLE = (("升高", ("降低",)),)

    class TurningAPart(Rewording):
        TABLE = (("急", ("慢",)),)

    for turning, text in ((Turning(), "血压升高，无咳嗽"), (TurningAPart(), "急性起病，无咳嗽")):
        notes = [perturb(text, [turning], seed, "note") for seed in range(9)]
        assert any(note.refused for note in notes)
        assert not any(note.edits for note in notes)


def test_nothing_is_turned_into_its_opposite_among_many_other_edits():
    class Replacing(Perturbation):
        source = "a test"
        language = "both"

        def propose(self, text, _random):
            return [Edit(2, 4, "降低"), *(Edit(at, at + 1, "某") for at in range(5, len(text), 2))]

    done = perturb("血压升高伴头部昏沉家属陪同前来", [Replacing()], 1, 1)
    assert len(done.edits) > 3
    assert "升高" in done.text


def test_refused_edits_are_told_and_earlier_perturbations_win():
    done = perturb("无左3", [Deletion(rate=1)], 1, 1)
    assert done.text == "无左3"
    assert done.refused
    both = perturb(NOTE, [Homophone(rate=1), Deletion(rate=1)], 1, 1)
    assert [e for e in both.edits if e.text == ""] != both.edits
    assert facts(both.text) == facts(NOTE)


def test_punctuation_drops_what_ends_nothing_and_keeps_what_ends_a_denial():
    texts = {
        perturb("咳嗽，腹痛，无发热，头痛", [Punctuation(rate=1)], seed, 0).text
        for seed in range(60)
    }
    assert any("咳嗽腹痛" in text for text in texts)
    assert not any("发热头痛" in text or "发热、头痛" in text for text in texts)


@given(st.floats(0, 1), st.integers(0, 400), st.integers())
def test_gaps_pick_places_in_order_and_in_range(rate, places, seed):
    picked = Gaps(rate).pick(places, Random(seed))  # noqa: S311 - no secret hangs on it
    assert picked == sorted(set(picked))
    assert all(0 <= place < places for place in picked)


def test_gaps_pick_their_rate():
    random, gaps = Random(1), Gaps(0.1)  # noqa: S311 - no secret hangs on it
    count = sum(len(gaps.pick(50, random)) for _ in range(4000))
    assert abs(count / 200_000 - 0.1) < 0.005  # six standard deviations and more

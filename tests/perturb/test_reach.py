"""An edit that looks clear at a glance is one that the guards permit after reading the whole."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emrobust.perturb import Edit, facts, permits, protected
from emrobust.perturb.reach import is_clear, is_hopeless

PIECES = [
    *(
        "无",
        "未见",
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
    ),
    *(
        "有",
        "布洛芬",
        "0.3g",
        "tid",
        " ",
        ":",
        "正常",
        "体温",
        "38.5℃",
        "三",
        "个",
        "月",
        "WBC",
        "B12",
    ),
    *("[AGE]", "2018", "-", "5", "度", "无力", "四肢", "史", "1次/日", "no ", "cough", "/", "."),
]
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=14).map("".join)
NEW = st.sampled_from(
    ["", "痛", "嗽", " ", ",", "、", ":", "d", "x", "３", "肢", "T 38.5", "布", *PIECES]
)


@settings(max_examples=400)
@given(TEXTS, st.data(), NEW, st.booleans())
def test_a_clear_edit_is_permitted_and_touches_no_guarded_piece(text, data, new, rewrites):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 4, len(text))))
    assume(new != text[start:end])
    edit = Edit(start, end, new)
    if is_clear(text, edit, rewrites=rewrites):
        assert not is_hopeless(text, edit, rewrites=rewrites)
        edited = text[:start] + new + text[end:]
        assert facts(edited) == facts(text)
        # A doubled stop ends a clause where the first one did.
        assert permits(text, [edit]) or set(new) <= set("，。；,;!！")
        if not rewrites:
            assert not any(first < end and start < last for first, last in protected(text))


def test_most_edits_of_symptoms_are_clear_and_those_of_cues_are_not():
    text = "患者头昏三天，无发热，左膝痛。"

    def clear(old, new):
        start = text.index(old)
        return is_clear(text, Edit(start, start + len(old), new), rewrites=True)

    assert clear("头昏", "头晕")
    assert clear("，", ",")
    assert not any(
        clear(*pair)
        for pair in [("无", "有"), ("左", "右"), ("，左", "左"), ("三", "四"), ("无发", "发")]
    )

"""What each step does, and what it must leave alone."""

from __future__ import annotations

import csv

import pytest

from emrobust import registry
from emrobust.errors import ConfigError
from emrobust.normalize import Normalizer, Sections
from emrobust.normalize.step import FOLDER
from emrobust.normalize.typos import Typos


def one(step: str, text: str) -> str:
    return Normalizer([step])([text])[0]


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("Ｔ３８．５℃，ＷＢＣ＞１０", "T38.5℃，WBC>10"),
        ("咳嗽,咳痰;发热:3天?", "咳嗽，咳痰；发热：3天？"),
        ("（－）　查体", "(-) 查体"),
        ("8：30测,1,000步,T38.5,3天", "8:30测，1,000步，T38.5，3天"),
        ("cough, fever: 3 days", "cough, fever: 3 days"),
        ("发热\u200b咳嗽.", "发热咳嗽。"),
        ("布洛芬0.3g,5㎎", "布洛芬0.3g，5mg"),
    ],
)
def test_width(text, becomes):
    assert one("width", text) == becomes


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("發熱、頭痛、腹瀉，無藥物過敏", "发热、头痛、腹泻，无药物过敏"),
        ("乾咳，痠痛，術後", "干咳，酸痛，术后"),
        ("疗效显著，乾隆年间", "疗效显著，乾隆年间"),
    ],
)
def test_variants(text, becomes):
    assert one("variants", text) == becomes


def test_simplified_characters_are_never_converted():
    common = "".join(bytes([high, low]).decode("gb2312", "ignore")
                     for high in range(0xB0, 0xD8) for low in range(0xA1, 0xFF))  # fmt: skip
    assert one("variants", common) == common


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("咳嗽&nbsp;3天&lt;发热<br/>无<b>痰</b>", "咳嗽 3天<发热\n无痰"),
        ("12×10<sup>9</sup>/L，3<b>5</b>", "12×10^9/L，3 5"),
        ("WBC<4，P<0.05，A&B", "WBC<4，P<0.05，A&B"),
    ],
)
def test_markup(text, becomes):
    assert one("markup", text) == becomes


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("咳嗽【】3天（）", "咳嗽 3天"),
        ("3____5，体温____", "3 5，体温"),
        ("现病史：【请填写】咳嗽，请输入。", "现病史：咳嗽。"),
        ("心肺 无殊 无殊，腹软", "心肺 无殊，腹软"),
        ("发热，，。咳嗽", "发热。咳嗽"),
        ("发热[ ] 咳嗽[√]", "发热[ ] 咳嗽[√]"),
        ("嘱其请填写同意书", "嘱其请填写同意书"),
        ("心率80，心率80", "心率80，心率80"),
        ("(-)，(+)", "(-)，(+)"),
    ],
)
def test_residue(text, becomes):
    assert one("residue", text) == becomes


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("【主 诉】咳嗽3天", "主诉：咳嗽3天"),
        ("PE: 腹软。辅检 血常规", "查体：腹软。辅助检查：血常规"),
        ("主诉：主诉:咳嗽", "主诉：咳嗽"),
        ("既往 体健；FH：无", "既往史：体健；家族史：无"),
        ("PH：7.35", "PH：7.35"),
        ("考虑诊断：肺炎，治疗后好转", "考虑诊断：肺炎，治疗后好转"),
    ],
)
def test_sections(text, becomes):
    assert one("sections", text) == becomes


def test_sections_have_levels_and_hold_all_content():
    text = "主诉：咳嗽。查体：神清。专科检查：咽红。诊断：上感"
    found = Sections().find(text)
    assert [(section.name, section.level) for section in found] == [
        ("主诉", 1), ("查体", 1), ("专科检查", 2), ("诊断", 1)
    ]  # fmt: skip
    assert text[found[1].content : found[1].end] == "神清。专科检查：咽红。"
    assert "".join(text[s.start : s.end] for s in found if s.level == 1) == text


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("咳嗽2d，3w前，4 h", "咳嗽2天，3周前，4小时"),
        ("血压120mmhg，Cr 90umol/l", "血压120mmHg，Cr 90μmol/L"),
        ("体温38.5度，烧到39度", "体温38.5℃，烧到39℃"),
        ("半个钟头，两个星期，2星期三", "半小时，两周，2星期三"),
        ("屈曲38度，3D打印，q8h，300W，坠落3m，步行500m", None),
        ("近视400度，T12，V5，每2星期一，腰5s1，身高1.56m，烧到39度7", None),
        ("咳嗽3m，5y前", "咳嗽3个月，5年前"),
        ("WBC 12*10^9/L", "WBC 12×10^9/L"),
        ("咳嗽2dT38.5，两个礼拜P80", "咳嗽2天T38.5，两周P80"),
        ("1h9m，LBP两个礼拜", "1小时9个月，LBP两周"),
    ],
)
def test_units(text, becomes):
    assert one("units", text) == (becomes or text)


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("T38.5，咽痛，咳嗽", "体温38.5℃，咽痛，咳嗽"),
        ("BP120/80", "血压120/80mmHg"),
        ("bp:142/90mmHg", "血压142/90mmHg"),
        ("P 88", "脉搏88次/分"),
        ("R20次/分", "呼吸20次/分"),
        ("SpO2 98%", "血氧饱和度98%"),
        ("T36.5P80R20BP120/80", "体温36.5℃脉搏80次/分呼吸20次/分血压120/80mmHg"),
        ("T38.5-39.2", "体温38.5-39.2℃"),
        ("GLU 11.3", "血糖11.3mmol/L"),
        ("心率96", "心率96次/分"),
        ("T4压缩骨折，T12 MRI，P2亢进，R波，RV5，G2P1，P53(+)，R31", None),
        ("BP16/10kPa，BP80/120，BP120，FT3 38，P88%，T38.5×2，R0切除", None),
        ("BS 4次/分，PR 160，身高104，体重29斤，血糖5-6mmo1/L，体温38度1，血糖8+mmo1", None),
        ("血压150-160/80 -90mmHg，24hg", None),
        ("心率80次分，心率68—100次/分", "心率80次/分，心率68—100次/分"),
        ("T38.5℃WBC 12，BP120/80mmHgSpO2 98%", "体温38.5℃WBC 12，血压120/80mmHg血氧饱和度98%"),
    ],
)
def test_vitals(text, becomes):
    assert one("vitals", text) == (becomes or text)


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("空腹BS高", "空腹血糖高"),
        ("腹软，BS活跃", "腹软，肠鸣音活跃"),
        ("BS可，AS，CA，MI", None),
        ("PE：双肺呼吸音粗", "查体：双肺呼吸音粗"),
        ("CTPA提示PE可能", "CTPA提示肺栓塞可能"),
        ("胸痛，心电图示急性MI", "胸痛，心电图示急性心肌梗死"),
        ("心脏彩超：MI轻度", "心脏彩超：二尖瓣关闭不全轻度"),
        ("RA病史，关节晨僵", "类风湿关节炎病史，关节晨僵"),
        ("骶髂关节炎，AS可能", "骶髂关节炎，强直性脊柱炎可能"),
        ("颈动脉AS斑块", "颈动脉粥样硬化斑块"),
        ("胃Ca术后", "胃癌术后"),
        ("血Ca偏低，补钙", "血钙偏低，补钙"),
        ("INR 1.2，PT延长", "INR 1.2，凝血酶原时间延长"),
        ("康复科PT训练", "康复科物理治疗训练"),
        ("查wbc↑，CRP↑↑，HTN", "查白细胞升高，C反应蛋白↑↑，高血压"),
        ("血压(BP)120/80", None),
        ("CK-MB/CK升高，ALT/AST", "肌酸激酶同工酶/肌酸激酶升高，谷丙转氨酶/谷草转氨酶"),
        ("肌钙蛋白T正常，T-SPOT阳性，维生素K", None),
        ("WBC, RBC and PLT are normal", None),
        ("HTN、DM", "高血压、糖尿病"),
    ],
)
def test_abbreviations(text, becomes):
    assert one("abbreviations", text) == (becomes or text)


def test_arrows():
    assert one("arrows", "血钾↓，转氨酶↑↑，↑") == "血钾降低，转氨酶明显升高，↑"


def test_terms():
    assert one("terms", "拉肚子两天，感冒灵") == "腹泻两天，感冒灵"


def test_the_abbreviations_are_many_and_each_row_can_come_true():
    with (FOLDER / "abbreviations.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert len({row["abbreviation"] for row in rows}) >= 150
    for row in rows:
        assert row["alone"] or row["before"] or row["after"] or row["near"], row["abbreviation"]
    alone = [row["abbreviation"] for row in rows if row["alone"]]
    assert len(alone) == len(set(alone))


class Bigrams:
    """A language model of pairs of characters, counted on a few sentences."""

    def __init__(self, texts):
        self.pairs = {text[n : n + 2] for text in texts for n in range(len(text) - 1)}

    def __call__(self, text, places, characters):
        def score(place, character):
            beside = (text[place - 1 : place] + character, character + text[place + 1 : place + 2])
            return -12.0 + 5.5 * sum(pair in self.pairs for pair in beside)

        return [[score(p, c) for c in of] for p, of in zip(places, characters, strict=True)]


def test_typos_need_a_clear_gain_and_spare_numbers_negations_and_drugs():
    scorer = Bigrams(["咳嗽咳痰", "有胸痛", "阿莫西林", "三天两天"])
    mend = Normalizer(["typos"], scorer=scorer)
    assert mend(["刻嗽咳痰"]) == ["刻嗽咳痰"]  # likelier, but on one side only
    assert mend(["咳漱咳痰"]) == ["咳嗽咳痰"]
    assert mend(["无胸痛，山天，阿莫西林"])[0].startswith("无胸痛")
    with pytest.raises(ConfigError, match="language model"):
        Normalizer(["typos"])
    assert set("无未否左右三两").isdisjoint("".join(Typos(scorer=scorer)._others.values()))


def test_a_wrong_table_or_step_says_where(tmp_path):
    (tmp_path / "units.csv").write_text("unit,writings,low,high\n天,d,a,b\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 2 of units\.csv"):
        Normalizer(["units"], tmp_path)
    with pytest.raises(ConfigError, match="Did you mean `vitals`"):
        Normalizer(["vital"])
    assert set(registry.names("normalizer")) >= {"width", "vitals", "terms", "typos"}

"""Medical words that look like identifiers survive, alone and in sentences."""

from __future__ import annotations

import pytest

from emrobust.deid.detect import detect, load

WORDS = """
高血压 白血病 王氏征 布氏杆菌 帕金森 何首乌 安宫牛黄丸 T38.5
BP120/80 II型 黄疸 白细胞 高热 黄连温胆汤 张力性头痛 马应龙痔疮膏
云南白药 余无异常 林格氏液 罗红霉素 雷公藤 石膏 金黄色葡萄球菌 葛根汤 方颅
常染色体 温胆汤 单克隆抗体 康复新液 任脉 华法林 万古霉素 雷诺氏现象 霍夫曼征
克氏征 巴氏征 布加综合征 史密斯骨折 孟鲁司特 贾第虫 谷丙转氨酶 麻黄 车前子
甘露醇 白塞病 川崎病 桥本甲状腺炎 周围神经病变 梅毒 桂枝汤 4-8周 3.2kg
5-10/min 第3-5肋骨 L4/5 NYHA分级II级 GCS15分 CA125
SpO2 98% 180/110mmHg 2.0×3.5cm 10-10-10分
"""
SENTENCES = (
    "患者{}。",
    "诊断：{}，继续治疗。",
    "医师考虑{}，建议复查。",
    "{}",
    "既往{}，家属{}不详。",
)


@pytest.mark.parametrize("frame", SENTENCES)
def test_medical_words_survive(frame):
    detectors = load()
    words = [word for line in WORDS.split("\n") for word in line.split()]
    assert len(words) > 60
    texts = [frame.replace("{}", word) for word in words]
    assert [text for text in texts if detect(text, detectors)] == []


def test_years_of_guidelines_stay_and_dates_of_people_go():
    detectors = load()
    kept = ("符合1995年全国第四届脑血管病诊断标准", "根据2006年中华医学会指南", "标准（1999年）")
    assert [text for text in kept if detect(text, detectors)] == []
    gone = ("1995年行阑尾切除术", "符合手术指征，2015年5月住院", "2006年底起病")
    assert all(detect(text, detectors) for text in gone)

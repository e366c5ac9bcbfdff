"""Employers and schools: behind 单位 or 就读于, or by what their names end in."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid.detector import HAN, Detector, Row, has_english
from emrobust.deid.places import begin_behind, is_name_like
from emrobust.deid.spans import Span
from emrobust.deid.tables import alternatives, words
from emrobust.registry import register

_KIND = (
    "股份有限公司|有限责任公司|有限公司|分公司|公司|集团|工厂|厂|合作社|超市|商场|酒店|饭店|宾馆|银行|支行|事务所"
    "|派出所|公安局|法院|检察院|税务局|教育局|供电局|电力局|邮政局|民政局|居委会|村委会|街道办|研究院|研究所|设计院|出版社|报社|电视台|煤矿|农场|林场|学院|大学|中学|小学"
    "|幼儿园|高中|初中|技校|职校|学校|党校|部队|工作室|农业局|水务局|交通局|运输队|车队"
)
_AFTER = re.compile(
    r"第?[一二三四五六七八九十\d]{0,2}(?:分校|分校区|校区|车间|分厂|附中|附小|部门)"
)
_SUFFIX = re.compile(f"(?:{_KIND})")
_EDGE = re.compile(rf"[^{HAN}\dA-Za-z·]")
_STRONG = re.compile(
    "工作单位|就职于|任职于|供职于|就读于|就读|毕业于|单位|服务于|打工于|上班于|受雇于|退休于|工作于|在|于|到|去|至|往"
)
_WEAK = re.compile(
    "患者|家属|病人|其父|其母|本人|现为|系|是|为|由|从|的|与|和|被|因|即|年前|天前|年|月|日"
)
_FIELD = re.compile(
    rf"(?:工作单位|单位名称|单位及地址|就读学校|学校|单位|雇主)\s?:\s?([{HAN}A-Za-z\d()·]{{2,30}})"
)
_CONTEXT = re.compile(
    "上班|工作|打工|就职|任职|供职|就读|读书|上学|单位|学生|职工|员工|工人|老师|教师|退休|念书|读[一二三四五六]年级|保安|会计|经理"
)
_ENGLISH = re.compile(
    r"(?:[Ww]orks?|[Ee]mployed|[Ww]orking|[Ee]mployee)\s(?:at|for|by|as an?\s[a-z ]{3,30}\s(?:at|for)|of)\s((?:[A-Z][A-Za-z&.'-]+\s?){1,5})"
    r"|\b((?:[A-Z][a-z]+\s){1,4}(?:Inc|LLC|Ltd|Corp|Corporation|Company|University|College|High School|Elementary School|Middle School)\b\.?)"
)
_PLACE = re.compile(rf"^[{HAN}]{{2,4}}(?:市|县|区|镇)")
_TOLD = re.compile("(?:就读于?|就职于|任职于|单位:?)$")
_FARTHEST = 26
_NEAR = 8


@register("detector")
class Employer(Detector):
    """Where a person works or learns."""

    kinds: ClassVar[tuple[str, ...]] = ("employer",)
    source: ClassVar[str] = "naming rules for enterprises (2020); traps.toml"

    def __init__(self) -> None:
        self._nameless = re.compile(f"(?:{alternatives(words('traps.toml', 'employers'))})+")

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        found = []
        if not text.isascii():
            for match in _FIELD.finditer(text):
                if match[1] not in _NONE:
                    found.append(self.span(*match.span(1), 0.9, "behind 工作单位"))
            found += self._by_suffix(text)
        for match in _ENGLISH.finditer(text) if has_english(text) else ():
            group = 1 if match[1] else 2
            end = match.start(group) + len(match[group].rstrip(" ."))
            found.append(self.span(match.start(group), end, 0.8, "an English employer or school"))
        return found

    def _by_suffix(self, text: str) -> list[Span]:
        found = []
        done = 0
        for suffix in _SUFFIX.finditer(text):
            start = _begin(text, max(done, suffix.start() - _FARTHEST), suffix.start())
            before = text[start : suffix.start()]
            if len(before) < 2 or self._nameless.fullmatch(before):
                continue
            told = _TOLD.search(text, 0, start)
            if not told and not _PLACE.search(before) and not is_name_like(before):
                continue
            near = text[max(0, start - _NEAR) : start] + text[suffix.end() : suffix.end() + _NEAR]
            if not _CONTEXT.search(near) and not (len(before) > 3 and suffix[0].endswith(_SURE)):
                continue
            after = _AFTER.match(text, suffix.end())
            done = after.end() if after else suffix.end()
            found.append(self.span(start, done, 0.85, "a name before 公司, 厂, 小学 and the like"))
        return found


_SURE = ("有限公司", "集团", "分公司", "中学", "小学", "幼儿园", "派出所", "支行", "合作社")
_NONE = frozenset(
    (
        "无",
        "不详",
        "无业",
        "退休",
        "农民",
        "自由职业",
        "务农",
        "个体",
        "学生",
        "暂无",
        "待业",
        "家务",
    )
)


def _begin(text: str, start: int, end: int) -> int:
    for edge in _EDGE.finditer(text, start, end):
        start = edge.end()
    return begin_behind(text, start, end, _STRONG, _WEAK)

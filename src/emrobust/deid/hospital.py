"""Names of hospitals, clinics and health centres; 我院, 外院, 当地医院 name none."""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid.detector import HAN, Detector, Row, has_english
from emrobust.deid.places import begin_behind, is_name_like
from emrobust.deid.spans import Span
from emrobust.deid.tables import alternatives, words
from emrobust.registry import register

_KIND = (
    "医院|卫生院|卫生服务中心|卫生服务站|卫生所|卫生室|医务室|门诊部|诊所|保健院|医疗中心|疾控中心|疾病预防控制中心|急救中心|妇幼保健所|防治院"
    "|防治所|疗养院|体检中心|血液中心|康复中心|医科院|骨伤医馆|中医馆|医馆"
)
_SUFFIX = re.compile(_KIND)
_BRANCH = re.compile(
    rf"\s?\(?[{HAN}]{{1,4}}?(?:院区|分院|分部|本部|门诊部)\)?|[东南西北新老]院(?![{HAN}])|\([东南西北新老总]院\)"
)
_EDGE = re.compile(rf"[^{HAN}·\dA-Za-z]")
# Words after which the name of a place begins.
_STRONG = re.compile(
    "先后在|先后于|曾在|曾于|曾到|曾去|就诊于|诊于|住院于|转入|转至|转往|转到|转去|转(?!院)|送至|送往|送到|送入|来自|前往|赴|遂至|遂往|至|到|去|往|由|在|于"
)
_WEAK = re.compile(
    "自|从|经|入|及|与|和|或|回|被|找|向|院外|外院|即|后|并|上次|昨日|昨天|今日|今天|日前|前日|年前|月前|天前|周前|小时前|因|为|是|的|[日月年号]"
    r"|\d时|[上下]午|晨|就诊"
)
_KNOWN = re.compile(
    alternatives((*words("places.toml", "provinces"), *words("places.toml", "cities")))
)
_SHORT = re.compile(
    rf"(?:{alternatives(words('places.toml', 'hospitals'))})(?=就诊|住院|行手术|门诊|医生|查|复查|看|治疗|[{HAN}]{{0,4}}科)|北医三院|北大一院|浙大[一二]院|邵逸夫|儿研所"
)
_ENGLISH = re.compile(
    r"\b(?:(?!At\b|The\b|To\b|From\b|In\b|Our\b|This\b|Local\b|Of\b)[A-Z][A-Za-z.'-]+\s(?:of\s|the\s|and\s|&\s)?){1,5}"
    r"(?:Hospital|Medical Center|Medical Centre|Clinic|Infirmary|Health Center|Healthcare System|Nursing Home|Rehabilitation Center)\b(?:\sof\s[A-Z][a-z]+)?"
)
# Our own hospital, or several: no name.
_OWN = re.compile("[我本]院|[我本贵该][市县区镇乡村]|[您你咱他]们|[一二两三多几各]家")
# What only a name has: a place, or a number or kind behind something else.
_PROPER = re.compile(
    rf"[{HAN}]{{2}}(?:省|市|县|州|旗)|.[第附]|.{{2}}(?:人民|中心|中医|妇幼|妇产|儿童|肿瘤|骨伤|口腔|眼科|职工|社区|胸科|红十字|总)$"
)
_GOING = re.compile("[去到至往在个家级小大](?:地方)?$|地方$")
_FARTHEST = 24
_LONE = frozenset("医疗保健省市县区镇乡")


@register("detector")
class Hospital(Detector):
    """A hospital's name."""

    kinds: ClassVar[tuple[str, ...]] = ("hospital",)
    source: ClassVar[str] = "naming rules for medical institutions (1994); places.toml, traps.toml"

    def __init__(self) -> None:
        self._nameless = frozenset(words("traps.toml", "hospitals"))

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        found = []
        done = 0
        if not text.isascii():
            for suffix in _SUFFIX.finditer(text):
                start = _begin(text, max(done, suffix.start() - _FARTHEST), suffix.start())
                if not self._names(text[start : suffix.start()]):
                    continue
                branch = _BRANCH.match(text, suffix.end())
                done = branch.end() if branch else suffix.end()
                found.append(self.span(start, done, 0.9, "a name before 医院 and the like"))
            for match in _SHORT.finditer(text):
                found.append(self.span(*match.span(), 0.8, "a well-known hospital's short name"))
        for match in _ENGLISH.finditer(text) if has_english(text) else ():
            found.append(self.span(*match.span(), 0.85, "a name before Hospital and the like"))
        return found

    def _names(self, before: str) -> bool:
        """Whether what stands before 医院 names one."""
        if _GOING.search(before):
            return False
        last = _WEAK.split(before)[-1]
        if last in self._nameless or before in self._nameless:
            return False
        if len(before) < 2 or set(before) <= _LONE or _OWN.match(before):
            return False
        return bool(_PROPER.search(before)) or is_name_like(before)


def _begin(text: str, start: int, end: int) -> int:
    """Where a hospital's name begins: behind a mark, then a preposition, or at a known place."""
    for edge in _EDGE.finditer(text, start, end):
        start = edge.end()
    known = _KNOWN.search(text, start, end)
    if known and known.end() < end:
        return known.start()
    return begin_behind(text, start, end, _STRONG, _WEAK)

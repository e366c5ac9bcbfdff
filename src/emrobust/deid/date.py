"""Dates in Chinese and western forms; 昨日 and 3天前 say when without a calendar and stay.

Numbers like 23.5.3 are dates only where the month and the day can be, and a lone 5.3 only
between 于 and what was done then.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import ClassVar

from emrobust.deid.detector import Detector, Row, has_english
from emrobust.deid.spans import Span
from emrobust.deid.tables import either, words
from emrobust.registry import register

_GRAMMAR = "grammar.toml"
_MONTHS = "|".join(sorted(words(_GRAMMAR, "date", "months"), key=len, reverse=True))
_HAN_DIGIT = "[〇零○ＯO一二三四五六七八九]"
_HAN_MONTH = "(?:十[一二]?|[一二三四五六七八九正冬腊元])"
_ONE = "[一二三四五六七八九]"
_HAN_DAY = f"(?:三十一?|二?十{_ONE}?|廿{_ONE}?|初?{_ONE}|初十)"
_LUNAR = rf"闰?{_HAN_MONTH}月(?:初[一二三四五六七八九十]|廿{_ONE}?|二?十{_ONE}?|三十)"
_YEAR = r"(?:18|19|20)\d{2}"
_PART = "(?:上旬|中旬|下旬|初|底|末|中(?![华国]))"
_M = r"(?:1[0-2]|0?[1-9])"
_D = r"(?:3[01]|[12]\d|0?[1-9])"
_S = r"\s{0,2}"

# One pattern a way of writing; the first digit or word lets `re` skip ahead.
_DIGITS = re.compile(
    rf"(?:"
    rf"(?P<long>(?:{_YEAR}|[0-3]\d|[89]\d){_S}年{_S}{_M}{_S}月"
    rf"(?:份|{_S}{_D}{_S}[日号]|{_S}{_D}(?![\d.天日号])|{_PART})?)"
    rf"|(?P<year>{_YEAR}{_S}年(?:{_PART}|[春夏秋冬](?:季|天)?)?)"
    rf"|(?P<day>{_M}{_S}月{_S}{_D}{_S}[日号])"
    rf"|(?P<part>{_M}{_S}月(?:份|上旬|中旬|下旬|初(?!诊)|底|末(?!次)))"
    rf"|(?P<iso>{_YEAR}{_S}(?P<sep>[-./_]){_S}{_M}(?:{_S}(?P=sep){_S}{_D})?(?![\d%/-])(?!\.\d))"
    rf"|(?P<compact>(?:19|20)\d{{2}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d))"
    rf"|(?P<short>[0-4]\d(?P<sep2>[-./]){_M}(?P=sep2){_D}(?!(?P=sep2)|[\d%:/-]|\.\d))"
    rf"|(?P<western>(?:{_D}(?=/|[-.]{_M}[-.]{_YEAR}|[-.][A-Z])|\d\d)"
    rf"(?P<sep3>[-./])(?:{_M}|(?:{_MONTHS})\.?)(?P=sep3)(?:{_YEAR}|\d{{2}})(?!(?P=sep3)|[\d%/-]|\.\d))"
    rf"|(?P<american>{_M}/{_D}/(?:{_YEAR}|\d{{2}})(?![\d%/]|\.\d))"
    rf"|(?P<dayfirst>{_D}(?:st|nd|rd|th)?\s(?:of\s)?(?:{_MONTHS})\b\.?(?:,?\s{_YEAR}(?!\d))?)"
    rf")(?![A-SU-Za-z])"
)
# The year of a guideline is nobody's.
_CITED = re.compile(rf"[^,。;\n]{{0,10}}{either(_GRAMMAR, 'date', 'cited')}")
# What may stand behind the first number of a date, which spares most numbers the long pattern.
_BEHIND = frozenset("年月-./_ \nsnrt")
_COMPACT = 8
_BEFORE = 16  # characters before a date that are looked at
_RUN = re.compile(r"\d\d*+")
_HAN_HINT = re.compile(
    "[〇零○ＯO一二三四五六七八九十正冬腊元][年月]|[农阴旧]历|大年|[甲乙丙丁戊己庚辛壬癸].年"
)
_STEM, _BRANCH = "[甲乙丙丁戊己庚辛壬癸]", "[子丑寅卯辰巳午未申酉戌亥]"
_APART = "(?<![一二三四五六七八九十个])"
_HAN = re.compile(
    rf"{_HAN_DIGIT}{{4}}{_S}年(?:{_S}{_HAN_MONTH}{_S}月(?:份|{_S}{_HAN_DAY}{_S}[日号]?)?|[春夏秋冬][季天]?)?"
    rf"|(?:{_STEM}{_BRANCH}年|农历|阴历|旧历)\s?(?:[今去同当]年)?{_LUNAR}"
    rf"|{_APART}{_HAN_MONTH}月{_HAN_DAY}[日号]"
    rf"|{_APART}闰?{_HAN_MONTH}月(?:初[一二三四五六七八九十]|廿{_ONE}?|十{_ONE})(?![个天])"
    r"|大年(?:初[一二三四五六七八]|三十)"
)
# A score of three parts, and the year of a criterion: 符合1995年……标准.
_SCORED = re.compile(r"(?:评分|得分|Apgar)\s?[:为]?\s?$")
_POINTS = re.compile(r"\s?分(?![娩娠钟])")
_CRITERION = re.compile(rf"{either(_GRAMMAR, 'date', 'criteria')}[^,。;\n年月]{{0,6}}$")
_NAMED = re.compile(
    rf"\b(?:{_MONTHS})\.?\s{{1,2}}(?:{_D}(?:st|nd|rd|th)?(?:,?\s{{1,2}}{_YEAR})?|(?:of\s)?{_YEAR})"
    r"(?!\d|\.\d|/\d|\s?mg)"
)
_AFTER_YU = re.compile(
    rf"(?<![小大低高少多晚早])[于自至到从]\s?({_M}[./-]{_D}[日号]?)"
    rf"(?=\s?(?:{either(_GRAMMAR, 'date', 'done')}|,))"
)
_CLAUSE = re.compile(rf"[,。;、\s]({_M}[./-]{_D}[日号]?)(?=\s?{either(_GRAMMAR, 'date', 'done')})")
_THIS_YEAR = re.compile(
    rf"[今去前当同次本于](?:(?<!于)年|(?<=于)(?<![小大低高少多晚早].))\s?({_M}月)(?![\d份])"
)
# 11-03 22:15, and a day alone behind a date: 2月14日摔倒, 15日来院.
_TIMED = re.compile(rf"(?<![\d.:/-])({_M}[-/.]{_D})(?=\s{{1,2}}(?:[01]?\d|2[0-3]):[0-5]\d)")
_DAY = re.compile(
    rf"[,。;、至]({_D}[日号])(?=晨|晚|上午|下午|凌晨|来|{either(_GRAMMAR, 'date', 'done')})"
)
_BORN = re.compile(
    rf"{either(_GRAMMAR, 'date', 'born')}\s?[:为]?\s?({_M}[-./]{_D}|\d{{6}})"
    r"(?!\d|\s?(?:周|天|岁|个?月|[kK]?[gG]|公?斤|磅))"
)


@register("detector")
class Date(Detector):
    """A calendar date, or a part of one that names a year or a month."""

    kinds: ClassVar[tuple[str, ...]] = ("date",)
    source: ClassVar[str] = "GB/T 7408; clinical usage"
    triggers = (_DIGITS, _HAN, _NAMED, _AFTER_YU, _CLAUSE, _THIS_YEAR, _TIMED, _BORN)

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        found = []
        done = 0
        for run in _RUN.finditer(text):
            if text[run.end() : run.end() + 1] not in _BEHIND and len(run[0]) != _COMPACT:
                continue
            match = _DIGITS.match(text, run.start())
            if match is None or run.start() < done or _is_decimal(text, run):
                continue
            done = match.end()
            group = next(name for name in _FORMS if match[name])
            if _is_cited(text, match, group):
                continue
            if group != "compact" or _is_day(match[0]):
                found.append(self.span(*match.span(), 0.9, f"a date written {_FORMS[group]}"))
        if _HAN_HINT.search(text):
            found += [
                self.span(*m.span(), 0.9, "a date in Chinese numerals or lunar")
                for m in _HAN.finditer(text)
            ]
        found += self.spans(_AFTER_YU, text, 0.75, "a short date behind 于", 1)
        found += self.spans(_CLAUSE, text, 0.7, "a short date before what was done", 1)
        found += self.spans(_THIS_YEAR, text, 0.75, "a month behind 今年 or 于", 1)
        found += self.spans(_TIMED, text, 0.8, "a short date before a time", 1)
        if found:
            found += self.spans(_DAY, text, 0.7, "a day behind a date", 1)
        found += self.spans(_BORN, text, 0.85, "a short date behind 出生", 1)
        if has_english(text):
            found += [
                self.span(*m.span(), 0.9, "an English month's name") for m in _NAMED.finditer(text)
            ]
        return found


_FORMS = {
    "long": "with 年 and 月",
    "year": "with 年 alone",
    "day": "with 月 and 日",
    "part": "with 月 and a part of it",
    "iso": "year first",
    "compact": "as eight digits",
    "short": "with two digits of the year",
    "western": "day first",
    "american": "month first",
    "dayfirst": "with an English month",
}


def _is_cited(text: str, match: re.Match[str], group: str) -> bool:
    """Whether it is the year of a guideline, or no date but a score."""
    before = text[max(0, match.start() - _BEFORE) : match.start()]
    cited = _POINTS.match(text, match.end()) or _CITED.match(text, match.end())
    if cited or _SCORED.search(before):
        return True
    return group == "year" and _CRITERION.search(before) is not None


def _is_decimal(text: str, run: re.Match[str]) -> bool:
    """Whether digits behind a dot go on a number: in ``1.2023年`` the 1 numbers a list."""
    return text[run.start() - 1 : run.start()] == "." and len(run[0]) not in {4, 8}


def _is_day(digits: str) -> bool:
    """Whether eight digits are a day."""
    try:
        dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True

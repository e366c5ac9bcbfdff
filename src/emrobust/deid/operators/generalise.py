"""Generalise: coarser, but still of use: a band for an age, a quarter for a date."""

from __future__ import annotations

import datetime as dt
import functools
import re
import tomllib
import unicodedata
from importlib import resources
from typing import Any, Literal, final

from emrobust.deid import dates, forms
from emrobust.deid.operator import Operator, Subject
from emrobust.registry import register

_WARD = re.compile(
    r"第?[0-9０-９一二三四五六七八九十]+(?:病区|病房|护理单元|楼|层|区|组|部)|\s*[Ww]ard\s*\w+"
)
_TENS = re.compile(r"([一二三四五六七八九])?([十百])([一二三四五六七八九])?")

Period = Literal["month", "quarter", "year"]


@functools.lru_cache(maxsize=1)
def _words() -> dict[str, Any]:
    file = resources.files("emrobust.deid") / "tables" / "generalise.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


@register("operator")
@final
class Generalise(Operator):
    """Ages to bands, dates to periods, beds and wards to departments, addresses to provinces.

    In the words of the note's language.
    Every other kind, and what cannot be read, is left to the placeholder. Without a key: dates
    keep their true period, so it does not go together with `date_shift` for other kinds.

    Args:
        period: of dates and of the visit of a bed.
        band: years of an age band.
    """

    def __init__(self, *, period: Period = "quarter", band: int = 10) -> None:
        self.period = period
        self.band = max(1, band)

    def replace(self, value: str, kind: str, subject: Subject) -> str | None:
        """The coarser value; None where this operator has none."""
        words = _words()[subject.language]
        match kind:
            case "date":
                return self._date(value, subject, words)
            case "age":
                return self._age(value, words)
            case "bed_no":
                return self._bed(subject, words)
            case "department":
                return _WARD.sub("", value) or None
            case "address":
                names: list[str] = _words()["regions"]["names"]
                return next((name for name in names if value.startswith(name[:2])), None)
        return None

    def _date(self, value: str, subject: Subject, words: dict[str, str]) -> str | None:
        written = dates.parse(value, subject.language)
        if written is None:
            return None
        begin = written.begin(subject.time.date() if subject.time else None)
        if begin is None:
            return None
        if written.year is None and subject.time is None:
            return None  # a year that nobody wrote would be made up
        return name_period(begin, "year" if written.month is None else self.period, words)

    def _age(self, value: str, words: dict[str, str]) -> str | None:
        years = _years(value)
        if years is None:
            return None
        if years > _words()["age_top"]:
            return words["top"]
        if years < 1:
            return words["infant"]
        low = int(years) // self.band * self.band
        return words["band"].format(low=low, high=low + self.band - 1)

    def _bed(self, subject: Subject, words: dict[str, str]) -> str:
        if not subject.department:
            return words["bed_plain"]
        if subject.shown is None:
            return words["bed_undated"].format(department=subject.department)
        period = name_period(subject.shown.date(), self.period, words)
        return words["bed"].format(department=subject.department, period=period)


def name_period(day: dt.date, period: Period, words: dict[str, str]) -> str:
    """The month, quarter or year of a day in words."""
    return words[period].format(year=day.year, month=day.month, quarter=(day.month + 2) // 3)


def _years(value: str) -> float | None:
    """An age in years from 45岁, 九十二岁, 8个月 or 92 years old."""
    plain = unicodedata.normalize("NFKC", value)
    found = re.search(r"\d+(?:\.\d+)?", plain)
    number = float(found[0]) if found else _chinese(plain)
    if number is None:
        return None
    for unit, years in (
        ("月", 12),
        ("month", 12),
        ("周", 52),
        ("week", 52),
        ("天", 365),
        ("day", 365),
    ):
        if unit in plain and "岁" not in plain and "year" not in plain:
            return number / years
    return number


def _chinese(plain: str) -> float | None:
    found = _TENS.search(plain)
    if found:
        size = 100 if found[2] == "百" else 10
        tens, ones = forms.digits_of(found[1] or "一"), forms.digits_of(found[3] or "〇")
        return size * int(tens) + int(ones)
    digits = forms.digits_of(plain)
    return float(digits) if digits else None

"""Dates as they are written: read, moved by days, and written again in the same form.

A written date is taken apart into fields (year, month, day) and the text between them, so that
what is not a number stays as it was: ``2023年3月5日`` becomes ``2023年4月12日``, ``05/03/23`` stays
with slashes and two digits. Times of day are text between; they never change.

Which of three numbers is the day, the language says: a Chinese text has the year first, an English
one the month (``03/05/24``); where that is no day of the calendar, the next reading is tried (day
first: ``25/12/23``). An English text that has the day first everywhere is read wrongly where both
can be.

Partial dates are moved as far as they go, and no further is claimed:

- without a year, the year is that of the visit, or the one before where the date would
  otherwise lie more than 60 days behind the visit; without a visit it is a common year;
- without a day, the middle of the month is moved, so that an interval is right to a month;
- without a month, the middle of the year is moved, so that an interval is right to a year.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_HAN = "〇零一二三四五六七八九"
_VALUE = {**{c: max(0, i - 1) for i, c in enumerate(_HAN)}, "○": 0, "Ｏ": 0, "O": 0}
_MONTHS = {name.lower(): i for i, name in enumerate(calendar.month_name) if name}
_SHORT = {name.lower(): i for i, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
_D = r"[0-9０-９]"
_N = rf"(?:{_D}{{1,2}}|[〇零一二三四五六七八九十廿]{{1,3}})"
_Y = rf"(?:{_D}{{4}}|{_D}{{2}}|[〇零○O一二三四五六七八九]{{4}}|[〇零一二三四五六七八九]{{2}})"
_S = r"\s*"
_M = r"[-/.．／－—–]"
_NAME = "|".join(sorted({*_MONTHS, *_SHORT}, key=len, reverse=True))
_END = rf"(?!{_D})"
# The writings, the fullest first. What surrounds the fields may hold anything without digits of a
# date, such as the time of day behind it.
_FORMS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?P<y>{_Y}){_S}年{_S}(?P<m>{_N}){_S}月{_S}(?P<d>{_N}){_S}[日号]?{_END}",
        rf"(?P<y>{_D}{{4}}){_S}{_M}{_S}(?P<m>{_D}{{1,2}}){_S}{_M}{_S}(?P<d>{_D}{{1,2}}){_END}",
        rf"(?<!{_D})(?P<y>{_D}{{4}})(?P<m>{_D}{{2}})(?P<d>{_D}{{2}}){_END}",
        rf"\b(?P<n>{_NAME})\.?{_S}(?P<d>{_D}{{1,2}})(?P<s>st|nd|rd|th)?,?{_S}(?P<y>{_D}{{4}}){_END}",
        rf"\b(?P<d>{_D}{{1,2}})(?P<s>st|nd|rd|th)?{_S}-?(?:of\s+)?(?P<n>{_NAME})\.?,?{_S}-?(?P<y>{_D}{{4}}){_END}",
        rf"(?<!{_D})(?P<first>{_D}{{1,2}})[/-](?P<second>{_D}{{1,2}})[/-](?P<third>{_D}{{4}}){_END}",
        rf"(?<!{_D})(?P<first>{_D}{{1,2}}){_M}(?P<second>{_D}{{1,2}}){_M}(?P<third>{_D}{{1,2}}){_END}",
        rf"(?P<y>{_Y}){_S}年{_S}(?P<m>{_N}){_S}月份?",
        rf"(?P<y>{_D}{{4}}){_S}{_M}{_S}(?P<m>{_D}{{1,2}}){_END}",
        rf"\b(?P<n>{_NAME})\.?,?\s+(?P<y>{_D}{{4}}){_END}",
        rf"(?P<m>{_N}){_S}月{_S}(?P<d>{_N}){_S}[日号]?{_END}",
        rf"\b(?P<n>{_NAME})\.?{_S}(?P<d>{_D}{{1,2}})(?P<s>st|nd|rd|th)?{_END}",
        rf"\b(?P<d>{_D}{{1,2}})(?P<s>st|nd|rd|th)?\s+(?:of\s+)?(?P<n>{_NAME})\b",
        rf"(?<!{_D})(?P<m>{_D}{{1,2}}){_M}(?P<d>{_D}{{1,2}}){_END}",
        rf"(?P<y>{_Y}){_S}年",
        rf"(?<!{_D})(?P<y>{_D}{{4}}){_END}",
    )
]
_TIME = re.compile(
    rf"{_D}{{1,2}}\s*[:：点时.．]\s*(?:{_D}{{1,2}}\s*[:：分]?\s*)?(?:{_D}{{1,2}}\s*秒?)?"
)
_MORE = re.compile(rf"{_N}\s*[年月日号]")  # 至8日: a range whose end would stay
_PIVOT = 30  # 23 is 2023, 87 is 1987
# What the three numbers of a date are, the likeliest first.
_ORDERS = {"zh": ("ymd", "mdy", "dmy"), "en": ("mdy", "dmy", "ymd")}
_THREE = ("first", "second", "third")


@dataclass(frozen=True)
class Written:
    """A date with the places of its fields in the text.

    Attributes:
        text: as it was written.
        places: field → its offsets; ``n`` is a month's name, ``s`` an ordinal's ending.
        year, month, day: values; None where it has none.
    """

    text: str
    places: dict[str, tuple[int, int]]
    year: int | None
    month: int | None
    day: int | None

    def move(self, days: int, visit: dt.date | None = None) -> str | None:
        """The date so many days later, in the same writing.

        Args:
            days: may be negative.
            visit: gives a date without a year its year.

        Returns:
            the text, or None where the moved date is outside of the calendar.
        """
        start = self.begin(visit)
        if start is None:
            return None
        try:
            moved = start + dt.timedelta(days=days)
        except OverflowError:
            return None
        return self._write(moved)

    def begin(self, visit: dt.date | None = None) -> dt.date | None:
        """The day that it names, or the middle of the month or year that it names."""
        if self.month is None:
            return _day(self.year or 0, 7, 1)
        if self.year is not None:
            return _day(self.year, self.month, self.day or 15)
        if visit is None:
            return _day(2023, self.month, self.day or 15) or _day(2024, self.month, self.day or 15)
        latest = visit + dt.timedelta(days=60)
        years = range(visit.year + 1, visit.year - 9, -1)  # 29 February may be far
        near = (_day(year, self.month, self.day or 15) for year in years)
        return next((day for day in near if day and day <= latest), None)

    def _write(self, moved: dt.date) -> str:
        padded = self._is_padded()
        text = self.text
        for field, (start, end) in sorted(
            self.places.items(), key=lambda item: item[1], reverse=True
        ):
            old = text[start:end]
            text = text[:start] + _WRITERS[field](old, moved, padded) + text[end:]
        return text

    def _is_padded(self) -> bool:
        """Whether 3 is written 03; where the old date doesn't tell, as ISO does."""
        fields = [self.text[slice(*self.places[f])] for f in ("m", "d") if f in self.places]
        plain = [unicodedata.normalize("NFKC", field) for field in fields]
        if any(len(field) == 1 for field in plain):
            return False
        iso = "月" not in self.text and "n" not in self.places
        return iso or any(field.startswith("0") for field in plain)


def parse(text: str, language: str = "zh") -> Written | None:
    """Read a written date, or None where it holds none or more than one.

    Args:
        text: as it is written.
        language: of the note, ``zh`` or ``en``.
    """
    for form in _FORMS:
        found = form.search(text)
        if found is None:
            continue
        rest = f"{text[: found.start()]} {text[found.end() :]}"
        rest = _TIME.sub(" ", rest)
        if _MORE.search(rest) or any(form.search(rest) for form in _FORMS[:-1]):
            return None
        places = {k: found.span(k) for k, v in found.groupdict().items() if v is not None}
        read = (_read(text, one) for one in _readings(places, language))
        return next((written for written in read if written is not None), None)
    return None


def _readings(
    places: dict[str, tuple[int, int]], language: str
) -> Iterator[dict[str, tuple[int, int]]]:
    """The places of the fields; of three numbers in every order that their lengths allow."""
    if "first" not in places:
        yield places
        return
    for order in _ORDERS[language]:
        fields = {field: places[name] for field, name in zip(order, _THREE, strict=True)}
        sizes = {field: end - start for field, (start, end) in fields.items()}
        if sizes["y"] > 1 and max(sizes["m"], sizes["d"]) < 3:
            yield fields


def _read(text: str, places: dict[str, tuple[int, int]]) -> Written | None:
    groups = {field: text[start:end] for field, (start, end) in places.items()}
    year = _year(groups["y"]) if "y" in groups else None
    month = _number(groups["m"]) if "m" in groups else None
    if "n" in groups:
        name = groups["n"].lower()
        month = _MONTHS.get(name) or _SHORT.get(name)
    day = _number(groups["d"]) if "d" in groups else None
    written = Written(text, places, year, month, day)
    return written if written.begin() is not None else None


def _day(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


def _year(written: str) -> int:
    digits = "".join(str(_digit(c)) for c in written)
    year = int(digits)
    if len(digits) == 2:
        return 2000 + year if year <= _PIVOT else 1900 + year
    return year


def _digit(character: str) -> int:
    return _VALUE[character] if character in _VALUE else int(unicodedata.digit(character))


def _number(written: str) -> int:
    """1–99 from digits or Chinese numerals: 十二, 二十五, 廿三, 〇三."""
    han = written.replace("廿", "二十")
    if "十" not in han:
        return int("".join(str(_digit(c)) for c in han))
    tens, _, ones = han.partition("十")
    return 10 * (_digit(tens) if tens else 1) + (_digit(ones) if ones else 0)


def _write_year(old: str, moved: dt.date, padded: bool) -> str:  # noqa: ARG001 (the writers' signature)
    digits = f"{moved.year:04d}"[-len(old) :]
    return "".join(_like(character, int(d)) for character, d in zip(old, digits, strict=True))


def _like(old: str, digit: int) -> str:
    """A digit in the writing of another: ASCII, full width, or Chinese with its own zero."""
    if old.isascii() and old.isdigit():
        return str(digit)
    if "０" <= old <= "９":
        return chr(ord("０") + digit)
    return ("零" if old == "零" else "〇") if digit == 0 else _HAN[digit + 1]


def _write_number(old: str, value: int, padded: bool) -> str:
    if old[0].isascii() or "０" <= old[0] <= "９":
        digits = f"{value:02d}" if padded else str(value)
        return "".join(_like(old[0], int(d)) for d in digits)
    tens, ones = divmod(value, 10)
    if tens == 0:
        return _HAN[ones + 1]
    start = "廿" if tens == 2 and old[0] == "廿" else ("" if tens == 1 else _HAN[tens + 1]) + "十"
    return start + (_HAN[ones + 1] if ones else "")


def _write_month(old: str, moved: dt.date, padded: bool) -> str:
    return _write_number(old, moved.month, padded)


def _write_day(old: str, moved: dt.date, padded: bool) -> str:
    return _write_number(old, moved.day, padded)


def _write_name(old: str, moved: dt.date, padded: bool) -> str:  # noqa: ARG001 (the writers' signature)
    # May is a whole name and a short one; the whole one is the commoner.
    full = old.lower() in _MONTHS
    name = (calendar.month_name if full else calendar.month_abbr)[moved.month]
    return name.upper() if old.isupper() else name


def _write_suffix(old: str, moved: dt.date, padded: bool) -> str:  # noqa: ARG001 (the writers' signature)
    teen = 10 <= moved.day % 100 <= 20
    suffix = "th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(moved.day % 10, "th")
    return suffix.upper() if old.isupper() else suffix


_WRITERS: dict[str, Callable[[str, dt.date, bool], str]] = {
    "y": _write_year,
    "m": _write_month,
    "d": _write_day,
    "n": _write_name,
    "s": _write_suffix,
}

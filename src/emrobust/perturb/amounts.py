"""What a number with its unit says, whatever its writing: 三天, 3d and ３ 天 are one duration."""

from __future__ import annotations

import functools
import re
import unicodedata

from emrobust.perturb import tokens

_NUMERALS = {c: n for n, c in enumerate("零一二三四五六七八九十")} | {"两": 2}
_AMOUNT = re.compile(
    r"([\d./*x^至到~—-]+|[一二三四五六七八九十百千两半数几]+|个把)\s?(.*)", re.DOTALL
)
_DATE = re.compile(r"\d{4}年.*|[12]\d{3}([-./])\d{1,2}[-./]\d{1,2}|\d{1,2}月\d{1,2}[日号]")
_READING = re.compile(r"([^\d]*?)[ :为]{0,2}(\d[\d./]*)(.*)", re.DOTALL)
_LONG = 8  # figures of a number that counts nothing but names a person or a visit
_DECIMAL = re.compile(r"\d+(?:\.\d+)?")


@functools.lru_cache(maxsize=65_536)
def sort(piece: str) -> tuple[str, str]:
    """Kind and value of a piece that the guards' pattern has found."""
    lexicon = tokens.load()
    known = lexicon.words.get(piece.lower())
    if known is not None:
        return known
    plain = unicodedata.normalize("NFKC", piece).lower().replace("~", "-").replace("×", "x")
    if plain[0] in tokens.STOPS:
        return tokens.EDGE, ""
    if plain[0] == "[":
        return tokens.PLAIN, ""  # of an identifier, which is no fact of the label
    if _DATE.fullmatch(plain):
        return "date", "-".join(str(int(part)) for part in re.findall(r"\d+", plain))
    if (reading := _READING.fullmatch(plain)) and (sign := lexicon.signs.get(reading[1].strip())):
        fahrenheit = " F" if reading[3].strip(" °") == "f" else ""
        return "vital", f"{sign} {_number(reading[2])}{fahrenheit}"
    return _measure(plain)


def _measure(plain: str) -> tuple[str, str]:
    """A number with its unit, or a numeral that counts nothing (十二指肠)."""
    amount = _AMOUNT.fullmatch(plain)
    if amount is None:
        return "grade", plain
    number, rest = amount[1], amount[2]
    if not rest and not number[0].isdigit():
        return tokens.PLAIN, ""
    if not re.sub("[床x]", "", rest) and (rest == "床" or sum(map(str.isdigit, number)) >= _LONG):
        return tokens.PLAIN, ""
    more = "+" if re.search("[多余来]", rest) else ""
    half = ".5" if rest.startswith(("半", "个半")) else ""
    writing = re.sub("^[个多余来半]+|[多余]$", "", rest).strip()
    unit = tokens.load().units.get(writing, writing)
    return "measure", f"{_number(number)}{half}{more} {unit}".rstrip()


def _number(writing: str) -> str:
    """A number as few digits as it needs; ranges and quotients stay together."""
    if writing[0].isdigit():
        return _DECIMAL.sub(
            lambda match: f"{float(match[0]):g}" if "." in match[0] else match[0], writing
        )
    if writing == "半":
        return "0.5"
    digits = [_NUMERALS.get(c) for c in writing]
    if None in digits or "百" in writing or "千" in writing:
        return writing
    if len(writing) == 1:
        return str(digits[0])
    tens, ten, ones = writing.partition("十")
    if not ten or len(tens) > 1 or len(ones) > 1:
        return writing
    return str((_NUMERALS[tens] if tens else 1) * 10 + (_NUMERALS[ones] if ones else 0))

"""Words for findings, durations and readings, and the typing errors in them."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from emrobust.clinic.identity import Draw
from emrobust.clinic.style import read_toml, validate
from emrobust.clinic.tables import DURATIONS, FOLDER, REGISTERS, Finding, Medicine, rows

_NUMBER = re.compile(r"(?<![A-Za-z\d\u4e00-\u9fff.])[<>≥≤-]{0,2}\d+(?:\.\d+)?(?:%|mmol/L|小时|h)?")
_SIDED = re.compile(r"双侧|左侧|右侧|一侧|偏侧|双|左|右")
_POSITIVE = re.compile(r"\(\++\)|[↑↓]")
_CHINESE = "零一二三四五六七八九十"


class Word(NamedTuple):
    """One wording, with the mentions inside it (start, end, kind, value)."""

    text: str
    inner: tuple[tuple[int, int, str, str], ...]


class Reading(NamedTuple):
    """How a vital sign is written in numbers; ``finding`` is −1 for the normal range."""

    vital: str
    finding: int
    low: float
    high: float
    low2: float
    high2: float
    decimals: int
    words: tuple[str, ...]


class Lexicon(BaseModel):
    """Lists that are no medicine: ``words.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    drugs: tuple[str, ...]
    doses: tuple[str, ...]
    surgeries: tuple[str, ...]
    family_diseases: tuple[str, ...]
    doubts: tuple[str, ...]
    relatives_child: tuple[str, ...]
    relatives_adult: tuple[str, ...]
    relatives_old: tuple[str, ...]
    in_present: tuple[str, ...]
    drug_names: tuple[str, ...]


@functools.lru_cache(maxsize=1)
def load_lexicon() -> Lexicon:
    """The shipped lists."""
    return validate(Lexicon, read_toml(FOLDER / "words.toml"), "words.toml")


@functools.lru_cache(maxsize=1)
def load_typos() -> Mapping[str, str]:
    """Character → the characters that are typed instead (same sound or like shape)."""
    typos: dict[str, str] = {}
    for row in rows(FOLDER / "typos.csv"):
        typos[row.text("right")] = row.text("wrong").replace("|", "")
    return typos


def mistype(draw: Draw, word: str, typos: Mapping[str, str]) -> str:
    """One slip of the fingers: a confused, dropped, doubled or swapped character."""
    known = [place for place, character in enumerate(word) if character in typos]
    slip = draw()
    if known and slip < 0.7:
        place = known[int(draw() * len(known))]
        wrong = typos[word[place]]
        return word[:place] + wrong[int(draw() * len(wrong))] + word[place + 1 :]
    place = int(draw() * len(word))
    if len(word) > 2 and not word.isascii() and slip < 0.85:
        return word[:place] + word[place + 1 :]
    if len(word) > 2 and slip < 0.93 and place:
        return word[: place - 1] + word[place] + word[place - 1] + word[place + 1 :]
    return word[:place] + word[place] + word[place:]


def finding_words(
    finding: Finding, drugs: tuple[str, ...]
) -> tuple[tuple[tuple[Word, ...], ...], tuple[tuple[Word, ...], ...]]:
    """Wordings by register, when present and when denied.

    A denied finding is named in short, without the marks of a positive one: not
    "没有吐了好几次", not "无WBC↑".
    """
    present = tuple(
        tuple(_word(text, drugs) for text in of_register) for of_register in finding.words
    )
    formal = tuple(_word(text, drugs) for text in finding.words[0] if not _POSITIVE.search(text))
    denied = []
    for register, of_register in zip(REGISTERS, finding.words, strict=True):
        plain = [text for text in of_register if not _POSITIVE.search(text)]
        if register == "colloquial":
            plain = [text for text in plain if len(text) <= 4 and not set(text) & set("有了老着")]
        denied.append(tuple(_word(text, drugs) for text in plain) or formal or present[0])
    return present, tuple(denied)


def _word(text: str, drugs: tuple[str, ...]) -> Word:
    inner = [(m.start(), m.end(), "number", m[0]) for m in _NUMBER.finditer(text)]
    inner += [(m.start(), m.end(), "side", m[0]) for m in _SIDED.finditer(text)]
    for drug in drugs:
        if (start := text.find(drug)) >= 0:
            inner.append((start, start + len(drug), "drug", drug))
    return Word(text, tuple(sorted(inner)))


def load_readings(medicine: Medicine) -> tuple[tuple[Reading, ...], ...]:
    """The readings of each vital sign; the normal one comes last.

    A finding that the medical tables don't have is left out.
    """
    place = {finding.name: row for row, finding in enumerate(medicine.findings)}
    vitals: dict[str, list[Reading]] = {}
    for row in rows(FOLDER / "readings.csv"):
        if (name := row.text("finding")) and name not in place:
            continue
        vitals.setdefault(row.text("vital"), []).append(
            Reading(
                vital=row.text("vital"),
                finding=place[name] if name else -1,
                low=row.number("low"),
                high=row.number("high"),
                low2=row.number("low2"),
                high2=row.number("high2"),
                decimals=int(row.number("decimals")),
                words=tuple(row.text("wordings").split("|")),
            )
        )
    return tuple(tuple(of_vital) for of_vital in vitals.values())


def write_reading(draw: Draw, reading: Reading) -> tuple[str, str]:
    """A reading in words and numbers, and the numbers alone."""
    first = f"{reading.low + draw() * (reading.high - reading.low):.{reading.decimals}f}"
    words = reading.words[int(draw() * len(reading.words))]
    if not reading.high2:
        return words.replace("{}", first), first
    second = f"{reading.low2 + draw() * (reading.high2 - reading.low2):.{reading.decimals}f}"
    return words.replace("{}", first, 1).replace("{}", second, 1), f"{first}/{second}"


class Course(NamedTuple):
    """How durations of one bucket are drawn and written, by register."""

    name: str
    low: int
    high: int
    words: tuple[tuple[str, ...], ...]


def load_durations() -> tuple[Course, ...]:
    """One for each of `tables.DURATIONS`."""
    found = {
        row.text("duration"): Course(
            row.text("duration"),
            int(row.number("low")),
            int(row.number("high")),
            tuple(tuple(row.text(register).split("|")) for register in REGISTERS),
        )
        for row in rows(FOLDER / "durations.csv")
    }
    return tuple(found[name] for name in DURATIONS)


def chinese(number: int) -> str:
    """1–99 in Chinese, two as 两."""
    if number == 2:
        return "两"
    if number <= 10:
        return _CHINESE[number]
    tens, ones = divmod(number, 10)
    return (_CHINESE[tens] if tens > 1 else "") + "十" + (_CHINESE[ones] if ones else "")

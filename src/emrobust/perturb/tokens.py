"""Finds the words and numbers that guards watch, in one pass of one compiled pattern.

Which words these are stands in ``tables/guards.toml`` and ``tables/names.csv``.
"""

from __future__ import annotations

import csv
import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from emrobust import lexicon
from emrobust.errors import ConfigError

TABLES = Path(__file__).parent / "tables"
# Kinds that tell nothing by themselves: `plain` words may not be cut, edges end a scope.
PLAIN, EDGE = "plain", "edge"
_DIGITS = "0-9０-９"
_NUMERALS = "一二三四五六七八九十百千两半数几"
_LATIN = "A-Za-zＡ-Ｚａ-ｚ"
# What ends a clause, also when it is not followed by anything.
STOPS = "，。；：,;:!！\n\r."
_HARD = "，。；：,;:!！\n\r"
_DIGITS_PLAIN = "0123456789"
_FEW_LETTERS = 2
_FEW = 8  # alternatives that are quicker tried than divided
_GRADES = "ⅠⅡⅢⅣⅤⅥ"
_NUMBER = rf"[{_DIGITS}]+(?:[.．][{_DIGITS}]+)?"
# What numbers, dates, readings, grades and placeholders hold beside units, letters and digits.
_FIGURES = f"{_NUMERALS}{_GRADES}.．:：/／-~～×*^至到—为个把半多余来年月日号度级型期°[]_"
_DATE = (
    rf"[12][{_DIGITS}]{{3}}(?:年(?:[{_DIGITS}]{{1,2}}月(?:[{_DIGITS}]{{1,2}}[日号])?)?"
    rf"|[-./][{_DIGITS}]{{1,2}}[-./][{_DIGITS}]{{1,2}}(?![{_DIGITS}]))"
    rf"|[{_DIGITS}]{{1,2}}月[{_DIGITS}]{{1,2}}[日号]"
)
# What a cue of these kinds says goes on to the next edge, or goes back to the last one.
FORWARD = frozenset({"negation", "doubt", "subject", "past"})
BACKWARD = frozenset({"denial", "normal", "question", "doubt", "past"})
# The patient's own sex says nothing of anybody else.
OWN = frozenset({"man", "woman"})
# kind → section, key and value of the words in ``guards.toml``
_CUES = {
    PLAIN: ("words", "plain", ""),
    "doubt": ("uncertain", "forward", "maybe"),
    "question": ("uncertain", "backward", "maybe"),
    "negation": ("negation", "forward", "no"),
    "denial": ("negation", "backward", "no"),
    "normal": ("normal", "backward", "normal"),
    "turn": ("edge", "turn", "turn"),
}


class Token(NamedTuple):
    """A piece of text that a guard watches.

    Attributes:
        kind: a section of ``guards.toml`` or ``names.csv``, `measure`, `date`, `edge` …
        value: the same for every writing of the same fact.
        start, end: where it stands.
    """

    kind: str
    value: str
    start: int
    end: int


class Lexicon(NamedTuple):
    """The tables, compiled.

    Attributes:
        scan: finds every guarded piece, the edges of clauses among them.
        inner: the same without the edges, which is quicker.
        words: writing in lower case → kind and value.
        units: writing in lower case → unit.
        signs: a vital sign's name in lower case → the sign.
        cues: single characters that are a guarded fact, or a part of one, wherever they stand.
        sides: words that have an opposite, in lower case → numbers of the sides they stand for.
        poles: finds any of these words.
        foes: Chinese characters of these → those of their opposites that they have not in common.
        polar: all characters of these, in either case.
        turning: finds those of them that another makes into its opposite (不良, 欠佳), and at the
            end of a piece what does it (不, 欠).
        longest_pole: characters of the longest.
        forward: finds the words that say something of what stands behind them.
        backward: finds the words that say something of what stands before them.
        pairs: neighbours inside any of the words, signs and units, in lower case.
        heads, tails: two characters that words and signs begin and end with, in lower case.
        figures: what is no letter, digit or space and stands in numbers with their units.
    """

    scan: re.Pattern[str]
    inner: re.Pattern[str]
    words: Mapping[str, tuple[str, str]]
    signs: Mapping[str, str]
    units: Mapping[str, str]
    cues: frozenset[str]
    sides: Mapping[str, frozenset[int]]
    poles: re.Pattern[str]
    foes: Mapping[str, frozenset[str]]
    polar: frozenset[str]
    turning: re.Pattern[str]
    longest_pole: int
    forward: re.Pattern[str]
    backward: re.Pattern[str]
    pairs: frozenset[str]
    heads: frozenset[str]
    tails: frozenset[str]
    figures: frozenset[str]


def trie(words: Iterable[str]) -> str:
    """A pattern that matches the longest of the words quickly, character by character."""
    root: dict[str, Any] = {}
    for word in words:
        node = root
        for character in word:
            node = node.setdefault(character, {})
        node[""] = {}
    return _branch(root)


def _branch(node: dict[str, Any]) -> str:
    ends = "" in node
    parts = [(c, re.escape(c) + _branch(below)) for c, below in sorted(node.items()) if c]
    if not parts:
        return ""
    inside = parts[0][1] if len(parts) == 1 and not ends else f"(?:{_halve(parts)})"
    return f"{inside}?" if ends else inside


def _halve(parts: list[tuple[str, str]]) -> str:
    """Alternatives by first character, where half of them are passed over at each look."""
    if len(parts) <= _FEW:
        return "|".join(pattern for _, pattern in parts)
    middle = len(parts) // 2
    return "|".join(
        f"(?=[{re.escape(half[0][0])}-{re.escape(half[-1][0])}])(?:{_halve(half)})"
        for half in (parts[:middle], parts[middle:])
    )


def is_han(character: str) -> bool:
    """Whether a character is a Chinese one."""
    return "\u3400" <= character <= "\u9fff"


def is_latin(word: str) -> bool:
    """Whether a word begins with a Latin letter, and so ends only where the letters end."""
    return re.match(f"[{_LATIN}]", word) is not None


@functools.lru_cache(maxsize=1)
def load() -> Lexicon:
    """The shipped tables.

    Raises:
        ConfigError: a table is missing or wrong.
    """
    cues = _read_toml(TABLES / "guards.toml")
    units = _inverse(cues["unit"])
    signs = _inverse(cues["vital"])
    words = _words(cues)
    poles = [word for pair in cues["opposites"].values() for side in pair for word in side]
    return Lexicon(
        scan=re.compile(_pattern(words, signs, units, edges=True)),
        inner=re.compile(_pattern(words, signs, units, edges=False)),
        words=words,
        signs=signs,
        units=units,
        cues=frozenset(_NUMERALS).union(word for word in words if len(word) == 1),
        sides=_sides(cues["opposites"].values()),
        poles=re.compile(trie(poles), re.IGNORECASE),
        foes=_foes(cues["opposites"].values()),
        polar=frozenset("".join([*map(str.lower, poles), *map(str.upper, poles)])),
        turning=_turning(cues["opposites"].values()),
        longest_pole=max(map(len, poles)),
        forward=_governing(words, FORWARD),
        backward=_governing(words, BACKWARD),
        pairs=frozenset(a + b for word in (*words, *signs, *units) for a, b in pairwise(word)),
        heads=frozenset(word[:2] for word in (*words, *signs)),
        tails=frozenset(word[-2:] for word in (*words, *signs)),
        figures=frozenset(_FIGURES).union(*units, (sign[-1] for sign in signs)),
    )


def opposite(side: int) -> int:
    """The number of the other side of a pair of opposites."""
    return side ^ 1


def _sides(opposites: Iterable[tuple[list[str], list[str]]]) -> dict[str, frozenset[int]]:
    found: dict[str, frozenset[int]] = {}
    for side, words in enumerate(chain.from_iterable(opposites)):
        for word in words:
            found[word.lower()] = found.get(word.lower(), frozenset()) | {side}
    return found


def _foes(opposites: Iterable[tuple[list[str], list[str]]]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for pair in opposites:
        one, other = (frozenset(filter(is_han, "".join(side))) for side in pair)
        for here, there in ((one, other), (other, one)):
            for character in here - there:
                found[character] = found.get(character, frozenset()) | (there - here)
    return found


def _turning(opposites: Iterable[tuple[list[str], list[str]]]) -> re.Pattern[str]:
    turned = {
        (word.removesuffix(inner), word)
        for pair in opposites
        for one, other in (pair, pair[::-1])
        for inner in one
        for word in other
        if word != inner and word.endswith(inner)
    }
    ends = {f"{re.escape(first)}$" for first, _ in turned}
    return re.compile("|".join(sorted({re.escape(word) for _, word in turned} | ends)))


def _governing(words: Mapping[str, tuple[str, str]], kinds: frozenset[str]) -> re.Pattern[str]:
    found = (word for word, (kind, value) in words.items() if kind in kinds and value not in OWN)
    return re.compile(f"(?i:{trie(found)})")


def _read_toml(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the guards' table {path} cannot be read: {error}") from None


def read_names(path: Path) -> dict[str, tuple[str, str]]:
    """Drugs and laboratory tests: name in lower case → kind and canonical name."""
    found = {}
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            if row["kind"] not in {"drug", "lab"}:
                raise ConfigError(f"{path}, row {number}: the kind is neither drug nor lab.")
            found[row["name"].lower()] = (row["kind"], row["canonical"])
    return found


def _inverse(section: Mapping[str, Iterable[str]]) -> dict[str, str]:
    return {word.lower(): value for value, words in section.items() for word in words}


def _words(cues: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Writing in lower case → kind and value; the first section that has a writing keeps it."""
    found: dict[str, tuple[str, str]] = {}
    for kind, (section, key, value) in _CUES.items():
        for word in cues[section][key]:
            found.setdefault(word.lower(), (kind, value))
    for kind in ("frequency", "past", "subject", "side"):
        for word, value in _inverse(cues[kind]).items():
            found.setdefault(word, (kind, value))
    for name, known in read_names(TABLES / "names.csv").items():
        found.setdefault(name, known)
    _add_lexicon(found)
    return found


def _add_lexicon(found: dict[str, tuple[str, str]]) -> None:
    """Add the lexicon's drugs, and its other writings of drugs and tests that are there already.

    Two Latin letters mean too much elsewhere to be guarded without ``names.csv`` saying so.
    """
    known = lexicon.load()
    for entry in known.entries:
        if entry.type not in {"drug", "test", "vital"}:
            continue
        named = (found.get(form.lower(), ("", "")) for form in entry.forms)
        fact = next((fact for fact in named if fact[0] in {"drug", "lab"}), None)
        if fact is None and entry.type != "drug":
            continue
        for form in entry.forms:
            if len(known.owners(form)) == 1 and (len(form) > _FEW_LETTERS or not is_latin(form)):
                found.setdefault(form.lower(), fact or ("drug", entry.formal))


def _pattern(
    words: Iterable[str], signs: Iterable[str], units: Iterable[str], *, edges: bool
) -> str:
    """The whole pattern: what is most frequent first, each part behind a quick look."""
    latin = [word for word in words if is_latin(word)]
    other = [word for word in words if not is_latin(word)]
    other += [word.upper() for word in other if word.upper() != word]  # 维生素C
    han = [word for word in other if word[0] not in _DIGITS_PLAIN]
    # Words that begin like a number are looked for before numbers, one-letter words with them.
    short = {word[0] for word in han if len(word) == 1} | set(_NUMERALS)
    cues = [word for word in han if word[0] in short]
    long = [word for word in han if word[0] not in short]
    seconds = _firsts(long, 1)
    unit = _units(units)
    reading = rf"[ :：为]{{0,2}}{_NUMBER}(?:[/／]{_NUMBER})?(?:\s?{unit})?"
    spoken = rf"(?:[{_NUMERALS}]+|个把)个?半?[多余来]?个?{unit}[多余]?"
    measure = (
        rf"{_NUMBER}(?:[-~～/×xX*^至到—]{_NUMBER})*(?:\s?[多余来]?个?半?[多余来]?{unit}[多余]?)?"
    )
    times = trie(word for word in other if word[0] in _DIGITS_PLAIN)
    sign = [word for word in signs if not is_latin(word)]
    latin_signs = [word for word in signs if is_latin(word)]
    parts = [
        *([rf"[{_HARD}]|\.(?![{_DIGITS}])"] if edges else []),
        rf"(?=[{_DIGITS}])(?:{times}|{_DATE}|{measure})",
        rf"(?=[{_firsts(cues)}{_NUMERALS}个])(?:{trie(cues)}|{spoken}|[{_NUMERALS}])",
        rf"(?=[{_firsts(sign)}]){trie(sign)}{reading}",
        rf"(?=[{_firsts(long)}][{seconds}]){trie(long)}",
        rf"(?=[{_LATIN}])(?<![{_LATIN}])(?i:{trie(latin_signs)}{reading}|{trie(latin)}(?![{_LATIN}]))",
        r"\[[A-Z_]+\]",
        f"[{_GRADES}]+[°度级型期]?",
    ]
    # One look at the first character spares most places all the others.
    firsts = f"{_DIGITS}{_firsts([*han, *sign])}{_NUMERALS}个{_LATIN}\\[{_GRADES}"
    firsts += f"{_HARD}." if edges else ""
    return f"(?=[{firsts}])(?:{'|'.join(parts)})"


def _firsts(words: Iterable[str], place: int = 0) -> str:
    """The first characters of words, to stand in a character class."""
    return "".join(re.escape(c) for c in sorted({word[place] for word in words}))


def _units(units: Iterable[str]) -> str:
    """A unit behind a number; one in Latin letters ends where the letters end."""
    latin = {unit for unit in units if unit[-1].isascii() and unit[-1].isalpha()}
    other = trie(unit for unit in units if unit not in latin)
    return rf"(?:(?i:{trie(sorted(latin))})(?![{_LATIN}])|{other})"

"""English names known from a column, however a text has them: Jones, James; James; JONES.

A part of three letters or more is a name where it stands alone and begins with a capital. Two kinds
of parts need more:

- One that is a word, too (Mark, Will, May, Long), is a name beside another part, behind a small
  letter (seen by Mark), or before what only persons do (Mark denies …). At the start of a sentence
  every word has a capital, and in capitals every letter, so there it stays.
- One that names a disease (Wilson) is none where the disease follows, and one that is seldom a
  surname (Parkinson, Foley) is one only before what persons do.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from emrobust.deid import eponyms
from emrobust.deid.tables import words

_GRAMMAR = ("grammar.toml", "english_name")
_LATIN = "A-Za-zÀ-ÖØ-öø-ɏ"
_WORD = re.compile(rf"(?<![{_LATIN}])[{_LATIN}]+(?:['’][{_LATIN}]{{2,}})*")
_CAPITAL = re.compile(rf"(?<![{_LATIN}])[A-ZÀ-ÖØ-ÞĀ-ɏ][{_LATIN}]*(?:['’][{_LATIN}]{{2,}})*")
# Between the parts of one name: a blank, a comma, a hyphen, an initial, a particle.
_PARTICLE = "|".join(words(*_GRAMMAR, "particles"))
_BETWEEN = re.compile(rf"-|(?:(?<=\b[A-Z])\.)?,?\s{{1,2}}(?:[A-Z]\.?\s|(?:{_PARTICLE})\s){{0,2}}")
_INSIDE = re.compile(r"(?<=[a-z]\s)")
_BEFORE_MONTH = re.compile(
    r"\b(?:in|on|of|by|to|and|from|since|until|till|through|during|before|after|early|mid|late|last"
    r"|next|this|around)\s$"
)
_BEHIND_MONTH = re.compile(r"\.?,?\s(?:\d|of\b)")
_ACTS = re.compile(
    r"\s(?:(?:denie|state|present|report|complain|endorse|describe|return|agree|call|tolerate)[sd]"
    r"|(?:present|report|complain|return|call)ed|admits|says|said|came|understands"
    r"|was (?:seen|admitted|referred|brought|discharged|advised|told|asked)|is an? \d)\b"
)
_SHORTEST = 3
_NEAR = 12  # characters before a word that are looked at


def _listed(*keys: str) -> frozenset[str]:
    return frozenset(word.casefold() for key in keys for word in words(*_GRAMMAR, key))


_MONTHS = frozenset(word.casefold() for word in words("grammar.toml", "date", "months"))
_WORDS = _listed("wordlike", "none") | _MONTHS
_ROLES = _listed("titles_doctor", "titles_person", "doctor", "patient", "relative", "degrees")
_PARTICLES = _listed("particles")
_EPONYMS = frozenset(word.casefold() for word in eponyms.EPONYMS)
_SURNAMES = frozenset(word.casefold() for word in eponyms.SURNAMES)


@functools.lru_cache(maxsize=65_536)
def parts(name: str) -> tuple[str, ...]:
    """The words of a name that lead to its owner alone, in small letters; none of a Chinese one."""
    return tuple(word for word in _words(name) if len(word) >= _SHORTEST and word not in _PARTICLES)


def spellings(name: str) -> list[str]:
    """The whole name, first name first and last name first; as it is where it is Chinese.

    A single word that may be something else is left to `find`, which looks at what is around it.
    """
    found = _words(name)
    if len(found) == 1:
        plain = len(found[0]) >= _SHORTEST and found[0] not in _WORDS | _EPONYMS
        return [name] if plain else []
    if not parts(name):
        return [name]
    last = _words(name.partition(",")[0]) if "," in name else found[-1:]
    first = found[len(last) :] if "," in name else found[:-1]
    orders = (f"{' '.join(first)} {' '.join(last)}", f"{' '.join(last)}, {' '.join(first)}")
    return [name, *(order for order in orders if first and last and order != _plain(name))]


def find(text: str, name: str) -> list[tuple[int, int]]:
    """Where parts of a name stand in a text, neighbours as one; in order."""
    alone = frozenset(parts(name))
    if not alone:
        return []
    of_name = frozenset(_words(name))
    runs: list[list[re.Match[str]]] = []
    for word in _CAPITAL.finditer(text):
        if _plain(word[0]) not in of_name:
            continue
        if runs and _BETWEEN.fullmatch(text, runs[-1][-1].end(), word.start()):
            runs[-1].append(word)
        else:
            runs.append([word])
    return [
        (run[0].start(), run[-1].end())
        for run in runs
        if any(_plain(word[0]) in alone for word in run) and _is_name(text, run)
    ]


@functools.lru_cache(maxsize=65_536)
def _words(name: str) -> tuple[str, ...]:
    """The words of a Latin name in small letters, without titles and degrees."""
    if any("\u3400" <= letter <= "\u9fff" for letter in name):
        return ()
    found = (_plain(word) for word in _WORD.findall(name))
    return tuple(word for word in found if word not in _ROLES)


def _plain(word: str) -> str:
    return word.replace("’", "'").casefold()


def _is_name(text: str, run: Sequence[re.Match[str]]) -> bool:
    if len(run) > 1:
        return True
    word = run[0]
    plain = _plain(word[0])
    if plain not in _WORDS | _EPONYMS:
        return True
    hyphens = text[word.start() - 1 : word.start()], text[word.end() : word.end() + 1]
    if "-" in hyphens or (plain in _EPONYMS and eponyms.names_thing(text, word.end())):
        return False
    if plain in _SURNAMES or _ACTS.match(text, word.end()):
        return True
    return plain in _WORDS and _is_person(text, word, month=plain in _MONTHS)


def _is_person(text: str, word: re.Match[str], *, month: bool) -> bool:
    """Whether a word of the language is a name here, inside of a sentence."""
    if word[0].isupper() or not _INSIDE.match(text, word.start()):
        return False
    before = text[max(0, word.start() - _NEAR) : word.start()]
    return not month or not (_BEFORE_MONTH.search(before) or _BEHIND_MONTH.match(text, word.end()))

"""Tells at a glance that an edit is out of reach of every guarded fact.

Most edits are. A look at the characters beside them shows it, without a pass of the guards'
pattern over the text: no guarded piece can hold two neighbours that stand so in none of the
guards' words and numbers. Whatever is not shown harmless here is doubtful, no more; the guards
then judge it.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from enum import IntEnum
from itertools import pairwise

from emrobust.perturb import guards, tokens
from emrobust.perturb.amounts import sort
from emrobust.perturb.edits import Edit

MARK = re.compile(f"[{guards.JOINTS}{re.escape(tokens.STOPS)}？?]")
# Marks that end a clause alike, and are no part of any number.
_ALIKE = frozenset("，。；,;！!")
_CUT = re.compile("[，。；;！!\n]")
_STOP = re.compile(f"[{re.escape(tokens.STOPS)}]")
# Written in full width, figures are read as the same; a year, a unit or a quotient may not be.
_PLAIN_NUMBER = re.compile(r"[0-9]{1,3}(?:\.[0-9]+)?|[０-９]{1,3}(?:．[０-９]+)?")
_TWINS = frozenset({(":", "："), ("：", ":"), ("。", "."), (".", "。")})
_FIGURES = re.compile(r"[0-9０-９A-Za-zＡ-Ｚａ-ｚ%％]+(?:[.．][0-9０-９]+)?")
HALF = {code + 0xFEE0: chr(code) for code in range(ord("!"), ord("~") + 1)}
_POINT = re.compile(r"(?<=[0-9０-９])[.．](?=[0-9０-９])")  # of a number, and no full stop
_MEMORY = 65_536  # pairs of neighbours, or of old and new, that are remembered


class Moves(IntEnum):
    """Which marks a replacement takes, makes or changes, of those that cues look for."""

    NOTHING = 0
    WIDTH = 1  # nothing: only a number, a colon or a full stop changes its width
    JOINT = 2
    STOP = 3


class Bearing(IntEnum):
    """What replacing one piece by another means, wherever it stands.

    HOPELESS: it adds a fact.
    DOUBTFUL: that depends on the text, or it changes a fact.
    EQUAL: the facts in it are the same, and none governs what is around it.
    FREE: there are none in either.
    """

    HOPELESS = -1
    DOUBTFUL = 0
    EQUAL = 1
    FREE = 2


@functools.lru_cache(maxsize=4)
def cuts(text: str) -> list[int]:
    """Where the clauses of a text end, at marks that no guarded piece has inside it."""
    return [match.start() for match in _CUT.finditer(text)]


def is_clear(text: str, edit: Edit, *, rewrites: bool) -> bool:
    """Whether the edit changes no guarded fact, touches no guarded piece and makes none.

    This holds whatever other edits are made, unless one meets or borders this one.

    Args:
        text: the original.
        edit: of it.
        rewrites: whether the edit may replace guarded pieces by equal ones.
    """
    start, end, new = edit
    old = text[start:end]
    moves, bearing = _weigh(old, new)
    if bearing <= Bearing.DOUBTFUL:
        return False
    if not rewrites and (bearing == Bearing.EQUAL or _STOP.search(old)):
        return False
    if moves == Moves.WIDTH:
        return _is_alike(text[start - 1 : start], old, new, text[end : end + 1])
    near = text[start - 2 if start > 1 else 0 : start], text[end : end + 2]
    if (_joins if old else _parts)(near[0], old, new, near[1]):
        return False
    return moves == Moves.NOTHING or _is_ungoverned(text, start, end, moves)


def is_hopeless(text: str, edit: Edit, *, rewrites: bool) -> bool:
    """Whether the edit surely changes a guarded fact, or touches a piece that it may not."""
    start, end, new = edit
    old = text[start:end]
    if rewrites:
        return _weigh(old, new)[1] == Bearing.HOPELESS
    return not tokens.load().cues.isdisjoint(old) or _STOP.search(old) is not None


def _joins(before: str, old: str, new: str, behind: str) -> bool:
    """Whether a guarded piece may begin or end in a replacement, of the old or the new."""
    if _crosses(before, old[:2]) or _crosses(old[-2:], behind):
        return True
    if not new:
        return before[-1:].isspace() or _crosses(before, behind)
    return _crosses(before, new[:2]) or _crosses(new[-2:], behind)


def _parts(before: str, _: str, new: str, behind: str) -> bool:
    """Whether a guarded piece stands at an insertion, or may be made by it.

    What is inserted at a piece's edge would part 1片 from 3次/日.
    """
    if _ends(before) or _begins(behind) or _crosses(before, behind):
        return True
    return _crosses(before, new[:2]) or _crosses(new[-2:], behind)


def _is_ungoverned(text: str, start: int, end: int, moves: Moves) -> bool:
    """Whether no cue looks for the mark that is moved: from before it, or from behind it.

    What separates the parts of one clause matters only to cues that look back.
    """
    lexicon = tokens.load()
    ends = cuts(text)
    last = bisect_left(ends, end)
    finish = ends[last] + 1 if last < len(ends) else len(text)
    if lexicon.backward.search(text, end, finish):
        return False
    first = bisect_left(ends, start) - 1
    begin = ends[first] if first >= 0 else 0
    return moves == Moves.JOINT or lexicon.forward.search(text, begin, start) is None


@functools.lru_cache(maxsize=_MEMORY)
def _weigh(old: str, new: str) -> tuple[Moves, Bearing]:
    """Which marks are moved that cues look for, and what else the replacement means."""
    if (old, new) in _TWINS or (is_width(old, new) and _PLAIN_NUMBER.fullmatch(old)):
        return Moves.WIDTH, Bearing.FREE if (old, new) in _TWINS else Bearing.EQUAL
    moves = Moves.NOTHING
    marks = "" if means_alike(old, new) else _POINT.sub("", old) + _POINT.sub("", new)
    if MARK.search(marks):
        moves = Moves.STOP if _STOP.search(marks) else Moves.JOINT
    if guards.may_turn(old, new):
        return moves, Bearing.DOUBTFUL
    before, after = _read(old), _read(new)
    if not old and (after is None or any(kind != tokens.PLAIN for kind, _ in after)):
        return moves, Bearing.HOPELESS
    if before is None or after is None:
        return moves, Bearing.DOUBTFUL
    if not before and not after:
        return moves, Bearing.FREE
    told = [[fact for fact in facts if fact[0] != tokens.PLAIN] for facts in (before, after)]
    return moves, Bearing.EQUAL if told[0] == told[1] else Bearing.DOUBTFUL


def _read(piece: str) -> list[tuple[str, str]] | None:
    """The guarded facts of a piece and its plain words; None if one governs what is around it."""
    found = [sort(match[0]) for match in tokens.load().inner.finditer(piece)]
    return None if any(kind in guards.GOVERNING for kind, _ in found) else found


@functools.lru_cache(maxsize=_MEMORY)
def _meets(left: str, right: str) -> bool:
    """Whether a guarded piece may hold these two neighbours."""
    left, right = left.lower()[-1], right.lower()[0]
    return left + right in tokens.load().pairs or (_counts(left) and _counts(right))


def _crosses(left: str, right: str) -> bool:
    """Whether a guarded piece may hold the last of ``left`` and the first of ``right``.

    Of each at most two characters are given. No piece begins or ends with a space.
    """
    if not left or not right or not _meets(left[-1], right[0]):
        return False
    if left[-1].isspace() and left[:-1] and not _meets(left[-2], left[-1]):
        return False
    return not (right[0].isspace() and right[1:] and not _meets(right[0], right[1]))


@functools.lru_cache(maxsize=_MEMORY)
def _is_alike(before: str, old: str, new: str, behind: str) -> bool:
    """Whether the guards read the same in both widths: neither is in a word such as B12."""
    if "." in {old, new} and behind.isdigit():
        return False
    return not any(
        a + b in tokens.load().pairs
        for window in (before + old + behind, before + new + behind)
        for a, b in pairwise(window.lower())
    )


@functools.lru_cache(maxsize=_MEMORY)
def _ends(left: str) -> bool:
    """Whether a guarded piece may end with these, at most two, characters."""
    left = left.lower()
    return left != "" and (
        _counts(left[-1]) or left[-1] in tokens.load().cues or left in tokens.load().tails
    )


@functools.lru_cache(maxsize=_MEMORY)
def _begins(right: str) -> bool:
    """Whether a guarded piece may begin with these, at most two, characters."""
    right = right.lower()
    return right != "" and (
        _counts(right[0]) or right[0] in tokens.load().cues or right in tokens.load().heads
    )


def _counts(character: str) -> bool:
    """Whether it may stand in a number, date, unit, grade or placeholder."""
    return character in tokens.load().figures or (
        not tokens.is_han(character) and (character.isalnum() or character.isspace())
    )


def is_width(old: str, new: str) -> bool:
    """Whether figures and letters only change between full and half width."""
    return (
        old.isascii() != new.isascii()
        and _FIGURES.fullmatch(old) is not None
        and old.translate(HALF) == new.translate(HALF)
    )


def means_same(old: str, new: str) -> bool:
    """Whether a replacement tells the same by itself, and nothing that governs what is around."""
    return _weigh(old, new)[1] >= Bearing.EQUAL


def bares_blank(text: str, edit: Edit) -> bool:
    """Whether a deletion brings a blank before what follows: a cue there looks back over blanks."""
    start, _, new = edit
    return not new and text[start - 1 : start].isspace()


def moves_mark(old: str, new: str) -> bool:
    """Whether a mark may be lost, made or moved that ends or separates what cues govern."""
    return not means_alike(old, new) and _weigh(old, new)[0] != Moves.NOTHING


def means_alike(old: str, new: str) -> bool:
    """Whether one stop is put for another, or one width for another."""
    if len(old) == 1 and old in _ALIKE:
        return new != "" and _ALIKE.issuperset(new)
    return is_width(old, new)

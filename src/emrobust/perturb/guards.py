"""Refuses every edit that changes what carries the label: the facts of a text.

Guarded are negation with its scope, doubt, sides, numbers with units, doses, dates, durations,
vital signs, drugs and tests by name, family and past history, and whoever is meant. Two
writings of one fact are equal (2天 and 2d, 体温38.5℃ and T 38.5, 血压120/80 and BP120/80).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from emrobust.perturb import tokens
from emrobust.perturb.amounts import sort
from emrobust.perturb.edits import Edit, Offsets, join, settle
from emrobust.perturb.tokens import BACKWARD, EDGE, FORWARD, OWN, PLAIN, Token, opposite

_SCOPED = FORWARD | BACKWARD
# What changes the facts around it.
GOVERNING = _SCOPED | {"turn", EDGE}
_TURNS = frozenset({EDGE, "turn", "question"})
_SILENT = frozenset({PLAIN, EDGE, "turn"})
# Separators that matter only to what looks back.
JOINTS = r"、/|\\\s"
_LAST_JOINT = re.compile(rf"[\s\S]*[{JOINTS}]")


class Facts(NamedTuple):
    """The guarded facts of a text; equal facts may stand at different places.

    Attributes:
        tokens: the facts in order, with the edges of the clauses that cues govern.
        plain: spans of words such as 无力, which may be replaced whole and not cut.
    """

    tokens: list[Token]
    plain: list[tuple[int, int]]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Kind and value of each, as two texts that tell the same have them in common."""
        return [(token.kind, token.value) for token in self.tokens]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Facts) and self.told == other.told

    def __ne__(self, other: object) -> bool:
        # A tuple has its own, which would compare places too.
        return not self == other

    def __hash__(self) -> int:
        return hash(tuple(self.told))


def protected(text: str) -> list[tuple[int, int]]:
    """Spans (start, end) that no character may be changed in, ascending.

    They hold the guarded facts, the edges that end a cue's scope, and words such as 无力,
    which look like a fact and would become one if they were cut.
    """
    return [match.span() for match in tokens.load().scan.finditer(text)]


@functools.lru_cache(maxsize=64)
def facts(text: str) -> Facts:
    """The guarded facts of ``text``."""
    plain: list[tuple[int, int]] = []
    return Facts(_find(text, plain), plain)


def _find(text: str, plain: list[tuple[int, int]]) -> list[Token]:
    """Tokens that tell something, with edges; adds the spans of plain words to ``plain``."""
    told: list[Token] = []
    edge: re.Match[str] | None = None
    is_open = False
    for match in tokens.load().scan.finditer(text):
        kind, value = sort(match[0])
        if kind == PLAIN:
            plain.append(match.span())
            continue
        if kind in BACKWARD and (opening := _opening(text, match, edge)):
            told.append(opening)
        if kind in _TURNS:
            if is_open:
                told.append(Token(EDGE, value, match.start(), match.end()))
            edge, is_open = match, False
        if kind not in _SILENT:
            told.append(Token(kind, value, match.start(), match.end()))
            if kind in FORWARD and value not in OWN:
                is_open = True
    return told


def _opening(text: str, cue: re.Match[str], edge: re.Match[str] | None) -> Token | None:
    """The separator that a cue which looks back goes back to; None for the text's start."""
    end = cue.start()
    begin = edge.end() if edge else 0
    while end > begin and text[end - 1].isspace():
        end -= 1
    joint = _LAST_JOINT.match(text, begin, end)
    if joint is not None:
        return Token(EDGE, "joint", joint.end() - 1, joint.end())
    return Token(EDGE, sort(edge[0])[1], edge.start(), edge.end()) if edge else None


def permits(text: str, edits: Iterable[Edit]) -> bool:
    """Whether ``text`` tells the same facts of the same things after the edits."""
    settled = settle(edits)
    return keeps(text, settled, join(text, settled))


def keeps(text: str, settled: Sequence[Edit], edited: str) -> bool:
    """`permits`, where the edits are settled and the edited text is known."""
    before, after = facts(text), facts(edited)
    if len(before.tokens) != len(after.tokens):
        return False
    moved = Offsets(settled)
    untouched = settled[0][0] if settled else len(text)
    for old, new in zip(before.tokens, after.tokens, strict=True):
        if old == new and old.end < untouched:
            continue
        if old[:2] != new[:2]:  # kind and value
            return False
        if old.kind == EDGE:
            if moved.place(old.start) != new.start:
                return False
        elif not _stands(old, new, moved, text, edited):
            return False
    return not _cuts_plain(settled, before.plain) and not _turns(text, settled, edited)


def _stands(old: Token, new: Token, moved: Offsets, text: str, edited: str) -> bool:
    """Whether a fact stands where it stood, with the same things before and behind it.

    A replacement that holds a cue must show it: 不伴 → 无 does, 发热无咳嗽 → 无发热咳嗽 moves
    what is before the cue behind it.
    """
    start, end = moved.span(old.start, old.end)
    if not start <= new.start <= new.end <= end:
        return False
    if old.kind not in _SCOPED or not moved.touched(old.start, old.end):
        return True
    first, last = moved.cover(old.start, old.end)
    before = text[first : old.start].strip(), edited[start : new.start].strip()
    behind = text[old.end : last].strip(), edited[new.end : end].strip()
    if (before[0] and behind[0]) or (before[1] and behind[1]):
        return before[0] == before[1] or behind[0] == behind[1]
    return not (before[0] and behind[1]) and not (behind[0] and before[1])


def _cuts_plain(settled: Iterable[Edit], plain: Sequence[tuple[int, int]]) -> bool:
    """Whether an edit changes a part of a plain word, and not all of it."""
    return any(
        start < last and first < end and not (first <= start and end <= last)
        for first, last, _ in settled
        for start, end in plain
    )


def _turns(text: str, settled: Sequence[Edit], edited: str) -> bool:
    """Whether something is turned into its opposite, by the words that the edits are a part of."""
    growth = 0
    for start, end, new in _by_word(text, settled):
        first = start + growth
        growth += len(new) - (end - start)
        if _opposed(Piece(text, start, end), Piece(edited, first, first + len(new))):
            return True
    return False


def _by_word(text: str, settled: Sequence[Edit]) -> Iterator[Edit]:
    """The edits, those of one word in Latin letters as one of the whole word.

    Of acute and chronic the smallest edits leave the c.
    """
    group: list[Edit] = []
    start = end = 0
    for edit in settled:
        first, last = edit.start, edit.end
        while first and _is_letter(text[first - 1]):
            first -= 1
        while last < len(text) and _is_letter(text[last]):
            last += 1
        if group and first < end:
            end = max(end, last)
        else:
            if group:
                yield Edit(start, end, join(text, group, start, end))
                group = []
            start, end = first, last
        group.append(edit)
    if group:
        yield Edit(start, end, join(text, group, start, end))


def _is_letter(character: str) -> bool:
    return character.isascii() and character.isalpha()


class Piece(NamedTuple):
    """``text[start:end]`` with what stands around it."""

    text: str
    start: int
    end: int

    @property
    def inside(self) -> str:
        """The piece itself."""
        return self.text[self.start : self.end]

    def widened(self, left: int, right: int) -> Piece:
        """With so many characters more on each side."""
        return Piece(self.text, max(self.start - left, 0), min(self.end + right, len(self.text)))


def turns_round(old: str, new: str) -> bool:
    """Whether one is the opposite of the other: 升高 and 降低."""
    return _opposed(Piece(old, 0, len(old)), Piece(new, 0, len(new)))


@functools.lru_cache(maxsize=65_536)
def may_turn(old: str, new: str) -> bool:
    """Whether one can be the opposite of the other, or of what it is a part of (急 and 慢)."""
    lexicon = tokens.load()
    strange = lexicon.polar.isdisjoint(old), lexicon.polar.isdisjoint(new)
    if all(strange):  # nearly always, and quickly seen
        return False
    if lexicon.turning.search(old) or lexicon.turning.search(new):
        return True
    if any(strange):
        return False
    foes = lexicon.foes
    return any(not foes[c].isdisjoint(new) for c in old if c in foes) or turns_round(old, new)


def _opposed(old: Piece, new: Piece) -> bool:
    turning = tokens.load().turning
    if turning.search(old.inside) or turning.search(new.inside):
        # 不 alone is no word with an opposite; with what stands beside it it may be.
        left, right = map(max, zip(_overhang(old), _overhang(new), strict=True))
        old, new = (piece.widened(left, right) for piece in (old, new))
    if not (_has_pole(old) and _has_pole(new)):  # nearly always, and quickly seen
        return False
    before, after = _sides(old), _sides(new)
    return any(
        opposite(side) in after and side not in after and opposite(side) not in before
        for side in before
    )


def _has_pole(piece: Piece) -> bool:
    """Whether a word that has an opposite stands in a piece, or partly in it."""
    text, start, end = piece
    lexicon = tokens.load()
    reach = lexicon.longest_pole - 1
    found = lexicon.poles.finditer(text, max(start - reach, 0), end + reach)
    return any(match.end() > start and match.start() < end for match in found)


def _poles(piece: Piece) -> dict[tuple[int, int], frozenset[int]]:
    """The words with an opposite that stand in a piece, or partly in it, and their sides."""
    text, start, end = piece
    lexicon = tokens.load()
    reach = lexicon.longest_pole
    return {
        (first, last): sides
        for first in range(max(start - reach + 1, 0), end)
        for last in range(max(first, start) + 1, min(first + reach, len(text)) + 1)
        if (sides := lexicon.sides.get(text[first:last].lower()))
    }


def _overhang(piece: Piece) -> tuple[int, int]:
    """How far such words begin before a piece, and end behind it."""
    spans = _poles(piece)
    left = max((piece.start - first for first, _ in spans), default=0)
    right = max((last - piece.end for _, last in spans), default=0)
    return max(left, 0), max(right, 0)


def _sides(piece: Piece) -> set[int]:
    """The sides of all these words, but of those inside of one of the other side: 良 of 不良."""
    spans = _poles(piece)
    return {
        side
        for (first, last), sides in spans.items()
        for side in sides
        if not any(
            start <= first and last <= end and opposite(side) in others
            for (start, end), others in spans.items()
        )
    }


def check_row(term: str, other: str) -> str | None:
    """Why a lexicon must not put ``other`` for ``term``, or None where it may.

    A row that passes can still be refused in a text, where its ends meet other characters.
    """
    if not term.strip() or not other.strip():
        return "a term is empty"
    if term == other:
        return "it maps a term to itself"
    if facts(term) != facts(other):
        return "it changes a guarded fact (negation, doubt, side, number, unit, drug, test, kin)"
    if not permits(term, [Edit(0, len(term), other)]):
        return "it turns a term into its opposite, or moves a guarded fact"
    if any(sort(match[0])[0] == EDGE for match in tokens.load().scan.finditer(other)):
        return "it holds punctuation that ends a sentence or clause"
    return None

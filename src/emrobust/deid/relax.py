"""From a pattern of Python's to one of RE2's that matches at least wherever it does.

RE2 knows neither lookaround nor possessive repeats nor references, and takes linear time. The
relaxed pattern leaves out what RE2 doesn't know, so it says of a text: surely nothing here, or
look closely. Nobody has to write such a test by hand, or to mend it when a table changes.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterable, Sequence
from re import _constants as sre  # type: ignore[attr-defined]  # no public name
from re import _parser  # type: ignore[attr-defined]  # no public name
from typing import Any

Ranges = tuple[tuple[int, int], ...]
_MOST_COPIES = 24  # of what is repeated; more becomes any number
_LARGEST = 0x10FFFF
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
_ANY = "(?s:.)"
# Blocks of characters that notes seldom hold: a class that has one of a block gets all of it, as
# RE2 takes long over the 65 ranges of digits that Unicode has.
_BLOCKS = (
    (0x300, 0x36F), (0x400, 0x1FFF), (0x3100, 0x33FF), (0xA000, 0xFEFF), (0xFFF0, _LARGEST)
)  # fmt: skip


def relax(pattern: re.Pattern[str]) -> str:
    """A pattern of RE2's that matches in every text in which this one does.

    Lookaround of one character at the pattern's edges is kept, as it tells most there.
    """
    tree = _parser.parse(pattern.pattern, pattern.flags)
    made = _Relaxer(dict(_groups(tree))).sequence(list(tree), head=True, tail=True)
    return f"(?i:{made})" if pattern.flags & re.IGNORECASE else made


def _groups(tree: Iterable[Any]) -> Iterable[tuple[int, Any]]:
    """Number → content of every group of a parsed pattern."""
    for kind, value in tree:
        if kind is sre.SUBPATTERN and value[0] is not None:
            yield value[0], value[-1]
        for part in _parts(kind, value):
            yield from _groups(part)


def _parts(kind: Any, value: Any) -> list[Any]:
    """The parsed patterns inside of an item."""
    if kind is sre.BRANCH:
        return list(value[1])
    if kind is sre.SUBPATTERN or kind in _REPEATS or kind in (sre.ASSERT, sre.ASSERT_NOT):
        return [value[-1]]
    return [value] if kind is sre.ATOMIC_GROUP else []


class _Relaxer:
    """Writes the items of one pattern."""

    def __init__(self, groups: dict[int, Any]) -> None:
        self.groups = groups

    def sequence(self, items: list[Any], *, head: bool, tail: bool) -> str:
        """Items one after another; at the edges what may be absent is left out."""
        before = after = ""
        if head:
            before, items = self._cut_head(items)
            head = not before
        if tail:
            after, items = self._cut_tail(items)
            tail = not after
        last = len(items) - 1
        middle = (
            self._item(*item, head=head and place == 0, tail=tail and place == last)
            for place, item in enumerate(items)
        )
        return before + "".join(middle) + after

    def _cut_head(self, items: list[Any]) -> tuple[str, list[Any]]:
        while items:
            kind, value = items[0]
            if kind in (sre.ASSERT, sre.ASSERT_NOT) and value[0] < 0:
                if made := self._edge(kind, list(value[1]), r"\A"):
                    return made, items[1:]
            elif kind is sre.AT or (kind in _REPEATS and value[0] == 0):
                pass
            elif len(items) > 1 and (made := self._behind_first(items[0], *items[1])):
                return made, [items[0], *items[2:]]
            else:
                break
            items = items[1:]
        return "", items

    def _behind_first(self, first: Any, kind: Any, value: Any) -> str:
        """``x(?<![ab].)``: what stands before the first character, told behind it."""
        if kind is not sre.ASSERT_NOT or value[0] > 0 or _set_of(first) is None:
            return ""
        items = list(value[1])
        return self._edge(kind, items[:1], r"\A") if _is_pair(items) else ""

    def _cut_tail(self, items: list[Any]) -> tuple[str, list[Any]]:
        while items:
            kind, value = items[-1]
            if kind in (sre.ASSERT, sre.ASSERT_NOT) and value[0] > 0:
                if made := self._edge(kind, list(value[1]), r"\z"):
                    return made, items[:-1]
            elif kind is not sre.AT and not (kind in _REPEATS and value[0] == 0):
                break
            items = items[:-1]
        return "", items

    def _edge(self, kind: Any, items: list[Any], limit: str) -> str:
        """A lookaround at the pattern's edge as characters; empty where that cannot be said."""
        if kind is sre.ASSERT:
            has_edge = any(kind is sre.AT for kind, _ in _flatten(items))
            return "" if has_edge else self.sequence(items, head=False, tail=False)
        ranges = _set_of(items[0]) if len(items) == 1 else None
        return "" if ranges is None else f"(?:{limit}|{_write(_complement(ranges))})"

    def _item(self, kind: Any, value: Any, *, head: bool, tail: bool) -> str:
        ranges = _set_of((kind, value))
        if ranges is not None:
            return _write(ranges)
        if kind in _REPEATS:
            return self._repeat(*value, tail=tail)
        if kind in (sre.AT, sre.ASSERT, sre.ASSERT_NOT):
            return ""
        return _ANY if kind is sre.ANY else self._group(kind, value, head=head, tail=tail)

    def _group(self, kind: Any, value: Any, *, head: bool, tail: bool) -> str:
        parts = [self.groups[value]] if kind is sre.GROUPREF else _parts(kind, value)
        if not parts:
            raise NotImplementedError(f"{kind} cannot be relaxed")
        if kind is sre.GROUPREF:
            head = tail = False
        options = (self.sequence(list(part), head=head, tail=tail) for part in parts)
        folded = kind is sre.SUBPATTERN and value[1] & re.IGNORECASE
        return f"(?{'i' if folded else ''}:{'|'.join(dict.fromkeys(options))})"

    def _repeat(self, least: int, most: int, of: Any, *, tail: bool) -> str:
        made = f"(?:{self.sequence(list(of), head=False, tail=False)})"
        least = min(least, _MOST_COPIES)
        if tail or most == least:
            return made if least == 1 else f"{made}{{{least}}}"
        if most > _MOST_COPIES or (least == 0 and most > 1 and len(made) > _MOST_COPIES):
            return f"{made}*" if least == 0 else f"{made}{{{least},}}"
        return f"{made}{{{least},{most}}}"


def _flatten(items: Iterable[Any]) -> Iterable[Any]:
    for kind, value in items:
        yield kind, value
        for part in _parts(kind, value):
            yield from _flatten(part)


def _is_pair(items: Sequence[Any]) -> bool:
    return len(items) == 2 and (items[1][0] is sre.ANY or _set_of(items[1]) is not None)


def _set_of(item: Any) -> Ranges | None:
    """The characters that an item of one character matches."""
    kind, value = item
    if kind is sre.LITERAL:
        return ((value, value),)
    if kind is sre.NOT_LITERAL:
        return _complement(((value, value),))
    if kind is not sre.IN:
        return None
    negated = bool(value) and value[0][0] is sre.NEGATE
    ranges: list[tuple[int, int]] = []
    for part, of in value[negated:]:
        if part is sre.LITERAL:
            ranges.append((of, of))
        elif part is sre.RANGE:
            ranges.append(of)
        else:
            ranges.extend(_category(of))
    merged = _merge(ranges)
    return _complement(merged) if negated else merged


@functools.cache
def _category(name: Any) -> Ranges:
    """Code points of a class as Python has them; RE2 has only the ASCII ones."""
    patterns = {
        sre.CATEGORY_DIGIT: r"\d", sre.CATEGORY_NOT_DIGIT: r"\D",
        sre.CATEGORY_SPACE: r"\s", sre.CATEGORY_NOT_SPACE: r"\S",
        sre.CATEGORY_WORD: r"\w", sre.CATEGORY_NOT_WORD: r"\W",
    }  # fmt: skip
    runs = re.finditer(f"{patterns[name]}+", _everything())
    return tuple((run.start(), run.end() - 1) for run in runs)


@functools.cache
def _everything() -> str:
    return "".join(map(chr, range(sys.maxunicode + 1)))


def _merge(ranges: Iterable[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _complement(ranges: Ranges) -> Ranges:
    made, at = [], 0
    for first, last in _merge(ranges):
        if at < first:
            made.append((at, first - 1))
        at = last + 1
    if at <= _LARGEST:
        made.append((at, _LARGEST))
    return tuple(made)


def _write(ranges: Ranges) -> str:
    """A class of RE2's; nothing at all where it is empty."""
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _character(ranges[0][0])
    blocks = [
        (first, last) for first, last in _BLOCKS if any(a <= last and first <= b for a, b in ranges)
    ]
    inside = "".join(
        _character(a) if a == b else f"{_character(a)}-{_character(b)}"
        for a, b in _merge([*ranges, *blocks])
    )
    return f"[{inside}]" if inside else r"[^\x{0}-\x{10FFFF}]"


def _character(code: int) -> str:
    return chr(code) if chr(code).isalnum() and code < 0x10000 else f"\\x{{{code:X}}}"

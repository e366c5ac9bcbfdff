"""Perturbs texts: proposes edits, refuses what changes a guarded fact, applies the rest."""

from __future__ import annotations

import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from emrobust import rng
from emrobust.perturb import guards, tokens
from emrobust.perturb.edits import Edit, join, settle
from emrobust.perturb.perturbation import Perturbation

_MARK = re.compile(f"[{guards.JOINTS}{re.escape(tokens.STOPS)}？?]")
# Marks that end a clause alike, and are no part of any number.
_ALIKE = frozenset("，。；,;！!")
# Marks that no guarded piece has inside it; few edits are judged clause by clause.
_CUT = re.compile("[，。；;！!\n]")
_FEW = 3
_FIGURES = re.compile(r"[0-9０-９A-Za-zＡ-Ｚａ-ｚ%％]+(?:[.．][0-9０-９]+)?")
_HALF = {code + 0xFEE0: chr(code) for code in range(ord("!"), ord("~") + 1)}


class Perturbed(NamedTuple):
    """A text after its perturbation.

    Attributes:
        text: what it has become.
        edits: what was done, in order of place; offsets into the original.
        refused: what was proposed and would have changed a guarded fact.
    """

    text: str
    edits: list[Edit]
    refused: list[Edit]


def perturb(
    text: str, perturbations: Sequence[Perturbation], seed: int, name: str | int
) -> Perturbed:
    """``text`` after all perturbations: a function of the arguments only.

    All propose edits of the original; where two edits meet, the earlier perturbation's stays.

    Args:
        text: of any length, of a record or one of its fields.
        perturbations: in order of precedence.
        seed: of the run.
        name: what tells this text from all others of the run, such as the record's id (and
            the epoch), so that it does not matter which process perturbs it, or when.
    """
    random = Random(rng.derive(seed, "perturb", name))  # noqa: S311 - no secret hangs on it
    proposed = [(one.rewrites, one.propose(text, random)) for one in perturbations]
    if not any(edits for _, edits in proposed):
        return Perturbed(text, [], [])
    return _judge(text, proposed)


def perturb_all(
    texts: Iterable[str],
    perturbations: Sequence[Perturbation],
    seed: int,
    names: Iterable[str | int],
) -> Iterator[Perturbed]:
    """`perturb` for one text after the other; ``names`` has one for each."""
    for text, name in zip(texts, names, strict=True):
        yield perturb(text, perturbations, seed, name)


def _judge(text: str, proposed: Sequence[tuple[bool, list[Edit]]]) -> Perturbed:
    """Apply what may be applied.

    Most edits touch nothing guarded; if a second pass of the pattern then finds the same
    pieces, nothing guarded was made either. Only otherwise are facts compared, and only of the
    clauses with edits, unless a mark between clauses is edited too.
    """
    passed: list[Edit] = []
    refused: list[Edit] = []
    for start, end, of_part in _parts(text, proposed):
        spans = [match.span() for match in tokens.load().inner.finditer(text, start, end)]
        kept, bad, touching = _touch(text, spans, of_part)
        settled = settle(kept)
        refused += bad
        if _moves_mark(text, settled):
            return _judge_marks(text, proposed)
        if touching or not _finds_same(text, spans, settled, start, end):
            settled, bad = _pick_out(text, start, end, settled)
            refused += bad
        passed += settled
    return Perturbed(join(text, passed), passed, refused)


def _judge_marks(text: str, proposed: Iterable[tuple[bool, list[Edit]]]) -> Perturbed:
    """`_judge` where clauses may be joined or parted."""
    spans = guards.protected(text)
    kept, refused, _ = _touch(text, spans, proposed)
    passed: list[Edit] = []
    for start, end, group in _windows(text, settle(kept), spans):
        good, bad = _pick_out(text, start, end, group)
        passed += good
        refused += bad
    return Perturbed(join(text, passed), passed, refused)


def _parts(
    text: str, proposed: Sequence[tuple[bool, list[Edit]]]
) -> Iterator[tuple[int, int, Sequence[tuple[bool, list[Edit]]]]]:
    """Clauses with edits, marks included: start, end, edits. All of it where edits are many."""
    many = sum(len(edits) for _, edits in proposed) > _FEW
    if many and not any(rewrites and edits for rewrites, edits in proposed):
        yield 0, len(text), proposed
        return
    cuts = [match.start() for match in _CUT.finditer(text)]
    parts: dict[int, list[tuple[bool, list[Edit]]]] = {}
    for rewrites, edits in proposed:
        for edit in edits:
            parts.setdefault(bisect_left(cuts, edit[0]), []).append((rewrites, [edit]))
    for part in sorted(parts):
        start = cuts[part - 1] if part else 0
        end = cuts[part] + 1 if part < len(cuts) else len(text)
        of_part = parts[part]
        # An edit that goes on into the next clause replaces a mark, which is seen later.
        yield start, max(end, *(edits[0][1] for _, edits in of_part)), of_part


def _finds_same(
    text: str, spans: Sequence[tuple[int, int]], settled: Sequence[Edit], start: int, end: int
) -> bool:
    """Whether the guarded pieces of ``text[start:end]`` are the same after the edits."""
    before = [text[first:last] for first, last in spans]
    after = tokens.load().inner.findall(join(text, settled, start, end))
    return before == after or _fold(before) == _fold(after)


def _touch(
    text: str, spans: Sequence[tuple[int, int]], proposed: Iterable[tuple[bool, list[Edit]]]
) -> tuple[list[Edit], list[Edit], bool]:
    """Edits to look at, edits refused at once, and whether one of the former touches a span.

    An insertion touches a span at its edges too: it would part 1片 from 3次/日.
    """
    starts, ends = [span[0] for span in spans], [span[1] for span in spans]
    starts.append(sys.maxsize)  # so that a span is always found
    kept: list[Edit] = []
    refused: list[Edit] = []
    touching = False
    for rewrites, edits in proposed:
        for edit in edits:
            start, end, new = edit
            if start == end:
                free = starts[bisect_left(ends, start)] > end
            else:
                free = starts[bisect_right(ends, start)] >= end
            if free or (rewrites and _is_width(text[start:end], new)):
                kept.append(edit)
            elif rewrites:
                kept.append(edit)
                touching = True
            else:
                refused.append(edit)
    return kept, refused, touching


def _is_width(old: str, new: str) -> bool:
    """Whether figures and letters only change between full and half width."""
    return (
        old.isascii() != new.isascii()
        and _FIGURES.fullmatch(old) is not None
        and old.translate(_HALF) == new.translate(_HALF)
    )


def _fold(pieces: list[str]) -> list[str]:
    """Pieces in half width."""
    return "\n".join(pieces).translate(_HALF).split("\n")


def _moves_mark(text: str, settled: Iterable[Edit]) -> bool:
    """Whether a mark may be lost, made or moved that ends or separates what cues govern.

    One stop put for another ends the same.
    """
    changed = "".join(
        [
            text[start:end] + new
            for start, end, new in settled
            if not _means_alike(text[start:end], new)
        ]
    )
    return _MARK.search(changed) is not None


def _means_alike(old: str, new: str) -> bool:
    if len(old) == 1 and old in _ALIKE:
        return new != "" and _ALIKE.issuperset(new)
    return _is_width(old, new)


def _windows(
    text: str, settled: Sequence[Edit], spans: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int, list[Edit]]]:
    """Parts of the text that hold all an edit can change the facts of: start, end, its edits.

    No cue reaches beyond the edge of its clause, and an edit at an edge can join two clauses:
    so a part goes to the second edge on either side.
    """
    edges = [s for s, e in spans if e - s == 1 and text[s] in tokens.STOPS]
    group: list[Edit] = []
    begin = finish = 0
    for edit in settled:
        before, behind = bisect_left(edges, edit.start) - 2, bisect_left(edges, edit.end) + 1
        start = edges[before] if before >= 0 else 0
        end = edges[behind] + 1 if behind < len(edges) else len(text)
        if group and start >= finish:
            yield begin, finish, group
            group = []
        if not group:
            begin = start
        group.append(edit)
        finish = end
    if group:
        yield begin, finish, group


def _pick_out(text: str, start: int, end: int, edits: list[Edit]) -> tuple[list[Edit], list[Edit]]:
    """Edits of ``text[start:end]`` that are harmless together, and those that are not."""
    part = text[start:end]
    within = [Edit(edit[0] - start, edit[1] - start, edit[2]) for edit in edits]
    if guards.keeps(part, within, join(part, within)):
        return edits, []
    good: list[Edit] = []
    bad: list[Edit] = []
    passed: list[Edit] = []
    for edit, here in zip(edits, within, strict=True):
        trial = [*passed, here]
        if len(edits) > 1 and guards.keeps(part, trial, join(part, trial)):
            passed = trial
            good.append(edit)
        else:
            bad.append(edit)
    return good, bad

"""Perturbs texts: proposes edits, refuses what changes a guarded fact, applies the rest."""

from __future__ import annotations

import functools
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from emrobust import rng
from emrobust.perturb import guards, tokens
from emrobust.perturb.edits import Edit, join, settle
from emrobust.perturb.perturbation import Perturbation
from emrobust.perturb.reach import (
    HALF,
    MARK,
    bares_blank,
    cuts,
    is_clear,
    is_hopeless,
    is_width,
    means_same,
    moves_mark,
)

_FEW = 3  # edits that are judged clause by clause; more, in the whole text
_IDLE: list[rng.Draws] = []  # that nothing draws from just now


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
    random = _IDLE.pop() if _IDLE else rng.Draws()
    random.restart(seed, "perturb", name)
    proposed = [(one.rewrites, one.propose(text, random)) for one in perturbations]
    _IDLE.append(random)
    if not any(edits for _, edits in proposed):
        return Perturbed(text, [], [])
    if len(proposed) == 1 and (quick := _judge_many(text, *proposed[0])):
        return quick
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


def _judge_many(text: str, rewrites: bool, edits: list[Edit]) -> Perturbed | None:
    """Many small edits of one perturbation, judged by two looks at the text as a whole.

    None where that does not tell: marks are moved, a blank is bared, something is turned into its
    opposite, or a guarded piece is made or lost.
    """
    if rewrites or len(edits) <= _FEW:
        return None
    touching = _refuse(text, edits)
    settled = settle([edit for edit in edits if edit not in touching] if touching else edits)
    after = join(text, settled)
    changed = "".join([text[start:end] + new for start, end, new in settled])
    if MARK.search(changed) or any(bares_blank(text, edit) for edit in settled):
        return None
    if any(guards.may_turn(text[start:end], new) for start, end, new in settled):
        return None
    if _pieces(text) != tokens.load().inner.findall(after):
        return None
    return Perturbed(after, settled, [edit for edit in edits if edit in touching])


def _judge(text: str, proposed: Iterable[tuple[bool, list[Edit]]]) -> Perturbed:
    """Apply what may be applied.

    Most edits are clear of every guarded fact. Only for the others is the text looked through;
    they are judged without the clear ones, which make no difference to them.
    """
    kept: list[Edit] = []
    refused: list[Edit] = []
    doubtful: set[Edit] = set()
    strict: set[Edit] = set()
    for rewrites, edits in proposed:
        many = len(edits) > _FEW and not rewrites
        for edit in edits:
            # One look through the text is quicker than many looks at edits.
            if many or not is_clear(text, edit, rewrites=rewrites):
                if is_hopeless(text, edit, rewrites=rewrites):
                    refused.append(edit)
                    continue
                (doubtful if rewrites else strict).add(edit)
            kept.append(edit)
    if strict and (touching := _refuse(text, strict)):
        refused += touching
        strict.difference_update(touching)
        kept = [edit for edit in kept if edit not in touching]
    settled = settle(kept)
    doubtful.update(*(pair for pair in pairwise(settled) if pair[0][1] == pair[1][0]))
    if doubtful or strict:
        unclear = [edit for edit in settled if edit in strict or edit in doubtful]
        bad = _examine(text, unclear)
        refused += bad
        settled = [edit for edit in settled if edit not in bad] if bad else settled
    return Perturbed(join(text, settled), settled, refused)


def _refuse(text: str, edits: Iterable[Edit]) -> set[Edit]:
    """Those of the edits that touch a guarded piece.

    An insertion touches a piece at its edges too: it would part 1片 from 3次/日.
    """
    spans = _spans(text)
    starts, ends = [span[0] for span in spans], [span[1] for span in spans]
    starts.append(sys.maxsize)  # so that a span is always found
    refused: set[Edit] = set()
    for edit in edits:
        start, end, _ = edit
        if start == end:
            free = starts[bisect_left(ends, start)] > end
        else:
            free = starts[bisect_right(ends, start)] >= end
        if not free:
            refused.add(edit)
    return refused


@functools.lru_cache(maxsize=4)
def _spans(text: str) -> list[tuple[int, int]]:
    """Guarded pieces without the edges of clauses."""
    return [match.span() for match in tokens.load().inner.finditer(text)]


def _pieces(text: str) -> list[str]:
    return [text[start:end] for start, end in _spans(text)]


def _examine(text: str, settled: list[Edit]) -> list[Edit]:
    """Those of the edits that change a guarded fact.

    If a second pass of the pattern finds the pieces that it must find, nothing guarded was made,
    lost or changed. Otherwise facts are compared, of the clauses with edits only, unless a mark is
    edited too.

    Args:
        text: the original.
        settled: edits of it that may do harm.
    """
    bad: list[Edit] = []
    if any(moves_mark(text[start:end], new) for start, end, new in settled):
        for start, end, group in _windows(text, settled):
            bad += _pick_out(text, start, end, group)
        return bad
    if len(settled) > _FEW and _passes(text, 0, len(text), settled):
        return []
    for start, end, group in _parts(text, settled):
        if not _passes(text, start, end, group):
            bad += _pick_out(text, start, end, group)
    return bad


def _passes(text: str, start: int, end: int, settled: Sequence[Edit]) -> bool:
    """Whether the pattern finds in ``text[start:end]`` after the edits what it must find."""
    spans = [match.span() for match in tokens.load().inner.finditer(text, start, end)]
    expected = _expect(text, spans, settled)
    return expected is not None and _finds(text, expected, settled, start, end)


def _parts(text: str, settled: list[Edit]) -> Iterator[tuple[int, int, list[Edit]]]:
    """Clauses with edits, marks included: start, end, edits."""
    ends = cuts(text)
    for part, edits in groupby(settled, key=lambda edit: bisect_left(ends, edit[0])):
        group = list(edits)
        start = ends[part - 1] if part else 0
        end = ends[part] + 1 if part < len(ends) else len(text)
        # An edit that goes on into the next clause replaces a mark, which is seen before.
        yield start, max(end, group[-1][1]), group


def _expect(
    text: str, spans: Sequence[tuple[int, int]], settled: Iterable[Edit]
) -> list[str] | None:
    """The guarded pieces that there must be after the edits, if these change no fact.

    None where an edit cuts a piece, inserts at its edge, or may change what is said.
    """
    expected: list[str] = []
    done = 0
    for edit in settled:
        start, end, new = edit
        # An insertion touches a piece at its edges too.
        slack = start == end
        first = done
        while first < len(spans) and spans[first][1] + slack <= start:
            first += 1
        behind = first
        while behind < len(spans) and spans[behind][0] < end + slack:
            behind += 1
        expected += [text[begin:finish] for begin, finish in spans[done:first]]
        old, done = text[start:end], behind
        touched = spans[first:behind]
        if is_width(old, new):
            expected += [text[begin:finish] for begin, finish in touched]
        elif bares_blank(text, edit) or not means_same(old, new):
            return None
        elif touched:
            if slack or touched[0][0] < start or touched[-1][1] > end:
                return None
            expected += tokens.load().inner.findall(new)
    return expected + [text[begin:finish] for begin, finish in spans[done:]]


def _finds(text: str, expected: list[str], settled: Sequence[Edit], start: int, end: int) -> bool:
    """Whether the guarded pieces of ``text[start:end]`` after the edits are these."""
    after = tokens.load().inner.findall(join(text, settled, start, end))
    return expected == after or _fold(expected) == _fold(after)


def _fold(pieces: list[str]) -> list[str]:
    """Pieces in half width."""
    return "\n".join(pieces).translate(HALF).split("\n")


def _windows(text: str, settled: Sequence[Edit]) -> Iterator[tuple[int, int, list[Edit]]]:
    """Parts of the text that hold all an edit can change the facts of: start, end, its edits.

    No cue reaches beyond the edge of its clause: so a part goes to the next edge on either side,
    which it holds. An edit that takes an edge away has it in its middle.
    """
    ends = cuts(text)
    group: list[Edit] = []
    begin = finish = 0
    for edit in settled:
        before, behind = bisect_left(ends, edit.start) - 1, bisect_left(ends, edit.end)
        start = ends[before] if before >= 0 else 0
        end = ends[behind] + 1 if behind < len(ends) else len(text)
        if group and start >= finish:
            yield begin, finish, group
            group = []
        if not group:
            begin = start
        group.append(edit)
        finish = end
    if group:
        yield begin, finish, group


def _pick_out(text: str, start: int, end: int, edits: Sequence[Edit]) -> list[Edit]:
    """Those edits of ``text[start:end]`` that do harm, alone or with those before them."""
    part = text[start:end]
    within = [Edit(edit[0] - start, edit[1] - start, edit[2]) for edit in edits]
    if guards.keeps(part, within, join(part, within)):
        return []
    bad: list[Edit] = []
    passed: list[Edit] = []
    for edit, here in zip(edits, within, strict=True):
        trial = [*passed, here]
        if len(edits) > 1 and guards.keeps(part, trial, join(part, trial)):
            passed = trial
        else:
            bad.append(edit)
    return bad

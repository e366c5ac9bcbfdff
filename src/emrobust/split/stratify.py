"""Iterative stratification over many labels that keeps groups (patients) whole.

After Sechidis, Tsoumakas & Vlahavas, "On the stratification of multi-label data" (ECML PKDD
2011): the label with the fewest rows left is dealt out first, each time to the part that
wants it most. Two changes. What is dealt is a group with all its rows, the largest first. And
"wants most" weighs all labels of the group at once: with T rows of a label in all, a share p
of them wanted in a part and R still wanted there, placing c rows changes the squared error

    sum over labels  (c² − 2 R c) / (p T²)

and the part with the smallest value gets the group. (The 1/p, not 1/p², fills all parts at an
even pace, so that no part gets all of the large groups; the 1/T² lets rare labels speak.)

What greedy dealing leaves uneven, `mend` evens out by moving or swapping single groups.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

TOLERANCE = 0.1
SLACK_ROWS = 2.0
# A step of mending looks at no more groups than this: enough to find a good one.
CANDIDATES = 2048
MAX_STEPS = 1000


class Deviation(NamedTuple):
    """How far a label's share in a part is from its share in the whole.

    ``relative`` is (share in part / share in whole) − 1; ``rows`` the same in rows.
    """

    label: int
    part: int
    relative: float
    rows: float


def stratify(
    counts: sparse.csr_array, sizes: np.ndarray, shares: np.ndarray, keys: np.ndarray
) -> np.ndarray:
    """Divide groups into parts.

    The result depends on the groups' keys, not on their order in the arguments.

    Args:
        counts: rows of each label in each group, [groups, labels].
        sizes: rows of each group, [groups].
        shares: wanted share of each part, positive, sum 1, [parts].
        keys: a random unsigned number for each group, [groups]; decides ties.

    Returns:
        the part of each group, int64 [groups].
    """
    order = np.argsort(keys, kind="stable")
    whole = _with_rows(counts, sizes)[order]
    parts = mend(whole, shares, _deal(whole, shares))
    result = np.empty(len(sizes), np.int64)
    result[order] = parts
    return result


def deviations(counts: sparse.csr_array, sizes: np.ndarray, parts: np.ndarray) -> list[Deviation]:
    """Deviations of every label in every non-empty part, the worst in rows allowed first."""
    k = int(parts.max()) + 1
    rows = np.bincount(parts, weights=sizes, minlength=k)
    held = _sums(counts, parts, k)
    expected = np.outer(rows, held.sum(axis=0)) / rows.sum()
    allowed = np.maximum(TOLERANCE * expected, SLACK_ROWS)
    worst = np.argsort(-(np.abs(held - expected) / allowed), axis=None, kind="stable")
    found = []
    for part, label in zip(*np.unravel_index(worst, held.shape), strict=True):
        if expected[part, label] > 0:
            over = float(held[part, label] - expected[part, label])
            relative = over / float(expected[part, label])
            found.append(Deviation(int(label), int(part), relative, over))
    return found


def within_bound(deviation: Deviation) -> bool:
    """Whether a share is within 10 % of the whole's, or within two rows of it."""
    return abs(deviation.relative) <= TOLERANCE or abs(deviation.rows) <= SLACK_ROWS


def _with_rows(counts: sparse.csr_array, sizes: np.ndarray) -> sparse.csr_array:
    """Two more labels: "no label", so that such rows are dealt evenly too, and "a row"."""
    labelled = np.asarray(counts.sum(axis=1)).ravel() > 0
    bare = np.where(labelled, 0, sizes)
    extra = sparse.csr_array(np.stack([bare, sizes], axis=1).astype(np.float64))
    return sparse.csr_array(sparse.hstack([counts.astype(np.float64), extra], format="csr"))


def _deal(whole: sparse.csr_array, shares: np.ndarray) -> np.ndarray:
    """Deal out groups label by label; the part of each group."""
    totals = np.asarray(whole.sum(axis=0)).ravel()
    wanted = np.outer(shares, totals)
    weight = 1.0 / np.maximum(totals, 1.0) ** 2
    per_share = 1.0 / shares
    parts = np.full(whole.shape[0], -1)
    left = totals.copy()
    by_label = sparse.csc_array(whole)
    start, labels, held = whole.indptr, whole.indices, whole.data
    # "A row" is the commonest label of all, so every group is dealt by a real label or as bare.
    while (left > 0).any():
        rarest = int(np.where(left > 0, left, np.inf).argmin())
        for group in _largest_first(by_label, rarest, parts):
            own = slice(start[group], start[group + 1])
            columns, rows = labels[own], held[own]
            weighted = rows * weight[columns]
            cost = per_share * (rows @ weighted - 2.0 * (wanted[:, columns] @ weighted))
            part = int(cost.argmin())
            parts[group] = part
            wanted[part, columns] -= rows
            left[columns] -= rows
        left[rarest] = 0.0
    return parts


def _largest_first(by_label: sparse.csc_array, label: int, parts: np.ndarray) -> np.ndarray:
    """Groups with the label that are not dealt yet, the one with most of its rows first."""
    own = slice(by_label.indptr[label], by_label.indptr[label + 1])
    groups, rows = by_label.indices[own], by_label.data[own]
    free = parts[groups] < 0
    groups, rows = groups[free], rows[free]
    ordered: np.ndarray = groups[np.lexsort((groups, -rows))]
    return ordered


def mend(whole: sparse.csr_array, shares: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Move or swap single groups until every label is well within its bound, or none helps.

    Minimises the sum over parts and labels of (rows too many / rows allowed)²; each step
    takes the worst pair of part and label and the best move or swap that eases it.
    """
    parts = parts.copy()
    k = len(shares)
    totals = np.asarray(whole.sum(axis=0)).ravel()
    over = _sums(whole, parts, k) - np.outer(shares, totals)
    allowed = np.maximum(TOLERANCE * np.outer(shares, totals), SLACK_ROWS)
    weight = 1.0 / allowed**2
    settled: set[tuple[int, int]] = set()
    for _ in range(MAX_STEPS):
        badness = np.abs(over) / allowed
        for part, label in settled:
            badness[part, label] = 0.0
        part, label = (int(i) for i in np.unravel_index(badness.argmax(), badness.shape))
        if badness[part, label] <= 0.5:
            break
        moves = _best_moves(whole, parts, over, weight, (part, label))
        if not moves:
            settled.add((part, label))
            continue
        for group, to in moves:
            rows = _row(whole, group)
            over[parts[group]] -= rows
            over[to] += rows
            parts[group] = to
        settled.clear()
    return parts


Moves = list[tuple[int, int]]


def _best_moves(
    whole: sparse.csr_array,
    parts: np.ndarray,
    over: np.ndarray,
    weight: np.ndarray,
    worst: tuple[int, int],
) -> Moves:
    """The move or swap that lowers the error most among those that ease one label of a part."""
    part, label = worst
    too_many = over[part, label] > 0
    best: tuple[float, Moves] = (-1e-9, [])
    for other in range(len(over)):
        if other == part or (over[other, label] > 0) == too_many:
            continue
        source, target = (part, other) if too_many else (other, part)
        groups = np.flatnonzero(parts == source)
        groups = groups[whole[groups][:, [label]].toarray().ravel() > 0][:CANDIDATES]
        if not len(groups):
            continue
        gain = _gain(whole[groups].toarray(), over, weight, source, target)
        first = int(groups[gain.argmin()])
        best = min(best, (float(gain.min()), [(first, target)]), key=lambda of: of[0])
        back, second = _best_return(whole, parts, over, weight, (first, source, target))
        total = float(gain.min()) + back
        best = min(best, (total, [(first, target), (second, source)]), key=lambda of: of[0])
    return best[1]


def _best_return(
    whole: sparse.csr_array,
    parts: np.ndarray,
    over: np.ndarray,
    weight: np.ndarray,
    move: tuple[int, int, int],
) -> tuple[float, int]:
    """After a move, the group whose way back lowers the error most, and by how much."""
    group, source, target = move
    moved = over.copy()
    rows = _row(whole, group)
    moved[source] -= rows
    moved[target] += rows
    groups = np.flatnonzero(parts == target)[:CANDIDATES]
    if not len(groups):
        return 0.0, group
    gain = _gain(whole[groups].toarray(), moved, weight, target, source)
    return float(gain.min()), int(groups[gain.argmin()])


def _gain(
    rows: np.ndarray, over: np.ndarray, weight: np.ndarray, source: int, target: int
) -> np.ndarray:
    """Change of the error for each group that would move, [groups]; negative is better."""
    square: np.ndarray = rows**2 @ (weight[source] + weight[target])
    slope = over[target] * weight[target] - over[source] * weight[source]
    change: np.ndarray = square + 2.0 * (rows @ slope)
    return change


def _row(whole: sparse.csr_array, group: int) -> np.ndarray:
    row = np.zeros(whole.shape[1])
    own = slice(whole.indptr[group], whole.indptr[group + 1])
    row[whole.indices[own]] = whole.data[own]
    return row


def _sums(counts: sparse.csr_array, parts: np.ndarray, k: int) -> np.ndarray:
    """Rows of each label in each part, [parts, labels]."""
    groups = np.arange(len(parts))
    member: Any = sparse.csr_array((np.ones(len(parts)), (parts, groups)), shape=(k, len(parts)))
    sums: np.ndarray = np.asarray((member @ counts).todense(), dtype=np.float64)
    return sums

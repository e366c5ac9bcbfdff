"""Which texts of a batch a detector has to see: most hold nothing for most detectors.

The detectors' triggers, relaxed to what RE2 knows, run over the whole batch inside of Arrow. They
only choose: a chosen text goes to the detector as ever, so the spans are the same as without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from emrobust.deid import known_name
from emrobust.deid.characters import as_array, change_all, squeeze_all
from emrobust.deid.detector import SPELLED, Detector, fold, fold_table
from emrobust.deid.operator import NAMES
from emrobust.deid.relax import relax

_FEWEST = 32  # texts; for fewer the patterns take longer to compile than the detectors to run


class Prefilter:
    """The triggers of some detectors, relaxed once.

    Args:
        detectors: whose triggers.
    """

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self.patterns = {
            detector.name: join([relax(trigger) for trigger in detector.triggers])
            for detector in detectors
            if detector.triggers is not None
        }

    def choose(self, detector: Detector, texts: pa.Array) -> Sequence[int]:
        """Numbers of the folded texts in which the detector may find something.

        Args:
            detector: one of those given.
            texts: from `fold_all`.
        """
        return matching(texts, self.patterns.get(detector.name))


def matching(texts: pa.Array, pattern: str | None) -> Sequence[int]:
    """Numbers of the texts in which a pattern of `join` matches; all, where they are few."""
    if pattern is None or len(texts) < _FEWEST:
        return range(len(texts))
    chosen: list[int] = pc.indices_nonzero(pc.match_substring_regex(texts, pattern)).to_pylist()
    return chosen


def join(patterns: Sequence[str]) -> str | None:
    """One pattern for all; None where RE2 refuses it for its size: then every text is shown."""
    pattern = "|".join(dict.fromkeys(patterns))
    try:
        pc.match_substring_regex(pa.array(["x"]), pattern)
    except pa.ArrowInvalid:
        return None
    return pattern


def fold_all(texts: Sequence[str]) -> tuple[list[str], pa.Array]:
    """The texts through `fold`, as strings and as Arrow's; much faster than one by one."""
    folded = change_all(texts, fold_table())
    array = as_array(folded)
    hits = pc.indices_nonzero(pc.match_substring_regex(array, relax(SPELLED))).to_pylist()
    for place in hits:
        folded[place] = fold(folded[place])
    return folded, as_array(folded) if hits else array


class Needles:
    """Values of other columns that may stand in their rows' texts, whatever their width and case.

    Args:
        columns: kind and values, one a row; those of nothing are passed over.
        rows: how many.
    """

    def __init__(self, columns: Sequence[tuple[str, Sequence[str | None]]], rows: int) -> None:
        self.columns = columns
        self.rows = rows
        self.keys = [keys for kind, values in columns for keys in _keys(kind, values)]

    def row(self, place: int) -> dict[str, list[str]]:
        """The values of a text's row by kind; texts stand column after column."""
        known: dict[str, list[str]] = {}
        for kind, values in self.columns:
            value = values[place % self.rows]
            if value and value not in known.get(kind, ()):
                known.setdefault(kind, []).append(value)
        return known

    def find(
        self, texts: Sequence[str], among: Iterable[int] | None = None
    ) -> dict[int, dict[str, list[str]]]:
        """The values of the rows of those texts in which one of them may stand.

        Args:
            texts: of one column or several, one column after the other.
            among: numbers of the texts to look at; absent: all.
        """
        told = [
            at
            for at in (range(len(texts)) if among is None else among)
            if any(keys[at % self.rows] is not None for keys in self.keys)
        ]
        squeezed = squeeze_all([texts[at] for at in told])
        return {
            at: self.row(at)
            for at, text in zip(told, squeezed, strict=True)
            if any((key := keys[at % self.rows]) is not None and key in text for keys in self.keys)
        }


def _keys(kind: str, values: Sequence[str | None]) -> Iterator[list[str | None]]:
    """The values squeezed, None where there is none; of English names each part, one after one."""
    parts = [known_name.parts(value or "") if kind in NAMES else () for value in values]
    yield _squeezed(["" if of else value for value, of in zip(values, parts, strict=True)])
    for place in range(max(map(len, parts), default=0)):
        # What stands behind an apostrophe, which has more than one form.
        yield _squeezed([of[place].rpartition("'")[2] if place < len(of) else "" for of in parts])


def _squeezed(values: Sequence[str | None]) -> list[str | None]:
    keys = squeeze_all([value or "" for value in values])
    return [key if value else None for key, value in zip(keys, values, strict=True)]

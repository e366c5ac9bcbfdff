"""Which texts of a batch a detector has to see: most hold nothing for most detectors.

The detectors' triggers, relaxed to what RE2 knows, run over the whole batch inside of Arrow. They
only choose: a chosen text goes to the detector as ever, so the spans are the same as without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emrobust.deid.detector import SPELLED, Detector, Row, fold, fold_table
from emrobust.deid.known import Known
from emrobust.deid.relax import relax

_FEWEST = 32  # texts; for fewer the patterns take longer to compile than the detectors to run


class Prefilter:
    """The triggers of some detectors, relaxed once.

    Args:
        detectors: whose triggers.
    """

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self.patterns = {
            detector.name: _compile([relax(trigger) for trigger in detector.triggers])
            for detector in detectors
            if detector.triggers is not None
        }

    def choose(
        self, detector: Detector, texts: pa.Array, rows: Sequence[Row | None] | None
    ) -> Sequence[int]:
        """Numbers of the folded texts in which the detector may find something.

        Args:
            detector: one of those given.
            texts: from `fold_all`.
            rows: of the texts, for the detector that looks for a row's values.
        """
        if isinstance(detector, Known):
            return [place for place, row in enumerate(rows or ()) if row]
        pattern = self.patterns.get(detector.name)
        if pattern is None or len(texts) < _FEWEST:
            return range(len(texts))
        hits = pc.match_substring_regex(texts, pattern)
        chosen: list[int] = pc.indices_nonzero(hits).to_pylist()
        return chosen


def _compile(patterns: Sequence[str]) -> str | None:
    """One pattern for all; None where RE2 refuses it for its size: then every text is shown."""
    pattern = "|".join(dict.fromkeys(patterns))
    try:
        pc.match_substring_regex(pa.array(["x"]), pattern)
    except pa.ArrowInvalid:
        return None
    return pattern


def fold_all(texts: Sequence[str]) -> tuple[list[str], pa.Array]:
    """The texts through `fold`, as strings and as Arrow's; much faster than one by one."""
    joined = "".join(texts)
    if not joined.isascii():
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        joined = fold_table()[codes].tobytes().decode("utf-32-le", "surrogatepass")
    folded = list(_cut(joined, texts))
    spelled = relax(SPELLED)
    array = as_array(folded)
    hits = pc.indices_nonzero(pc.match_substring_regex(array, spelled)).to_pylist()
    for place in hits:
        folded[place] = fold(folded[place])
    return folded, as_array(folded) if hits else array


def _cut(joined: str, texts: Sequence[str]) -> Iterator[str]:
    start = 0
    for text in texts:
        end = start + len(text)
        yield joined[start:end]
        start = end


def as_array(texts: Sequence[str]) -> pa.Array:
    """Texts for Arrow, with half surrogates, which are no characters, as question marks."""
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([text.encode("utf-8", "replace").decode() for text in texts], pa.string())

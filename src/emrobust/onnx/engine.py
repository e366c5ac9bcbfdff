"""Token numbers → logits by ONNX Runtime: sorted by length, in small batches, several at once.

Measured on two cores with 256-wide layers: batches of about 512 tokens are a quarter faster a
record than batches of 2,048, whose activations fall out of the cache; and two batches at once,
one thread each, use two cores better than two threads inside one batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from emrobust.errors import ConfigError, RunError

BATCH_TOKENS = 512
# Its kernel takes ten times as long as the addition and the LayerNorm that it replaces (1.32).
_SLOWER = ["SkipLayerNormFusion"]


def count_threads(wanted: int | None) -> int:
    """How many threads to use: as wanted, else the processors that this process may use.

    Raises:
        ConfigError: fewer than one.
    """
    if wanted is not None and wanted < 1:
        raise ConfigError(f"{wanted} threads cannot compute anything", "Give 1 or more.")
    return wanted or len(os.sched_getaffinity(0))


class Session:
    """An ONNX graph that maps ``ids`` and ``mask`` [rows, tokens] to logits [rows, labels].

    Args:
        path: the graph.
        pad: number of the padding token.
        threads: inside one batch.

    Raises:
        RunError: it cannot be read.
    """

    def __init__(self, path: Path, pad: int, threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that wait by spinning take the processor from the other batches.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(
                str(path),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=_SLOWER,
            )
        except Exception as error:  # the library has no common base of its errors
            raise RunError(
                f"{path} cannot be used by ONNX Runtime ({type(error).__name__})",
                "Export the run again, or update onnxruntime.",
            ) from None
        self.pad = pad
        (answer,) = self._session.get_outputs()
        self.labels = int(answer.shape[1])

    def run(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        """Logits float32 [rows, labels] of one batch."""
        ids, mask = pad(rows, self.pad)
        logits: np.ndarray = self._session.run(None, {"ids": ids, "mask": mask})[0]
        return logits


def compute(
    session: Session,
    rows: Sequence[Sequence[int]],
    pool: ThreadPoolExecutor | None = None,
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> np.ndarray:
    """Logits of any number of rows, float32 [rows, labels].

    Args:
        session: the graph.
        rows: token numbers of each text.
        pool: computes several batches at once; absent: one after the other.
        batch_tokens: most tokens in a batch, padding included; a longer text goes alone.
    """
    found = np.empty((len(rows), session.labels), dtype=np.float32)
    batches = list(cut([len(row) for row in rows], batch_tokens))

    def answer(places: np.ndarray) -> None:
        found[places] = session.run([rows[place] for place in places])

    run: Any = map if pool is None else pool.map
    for _ in run(answer, batches):
        pass
    return found


def cut(lengths: Sequence[int], batch_tokens: int) -> Iterator[np.ndarray]:
    """Places of the rows of each batch, from long to short."""
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    start = 0
    while start < len(order):
        longest = max(lengths[order[start]], 1)
        size = max(batch_tokens // longest, 1)
        yield order[start : start + size]
        start += size


def pad(rows: Sequence[Sequence[int]], filler: int) -> tuple[np.ndarray, np.ndarray]:
    """Token numbers int64 and mask [rows, longest of them]."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max(initial=1)) < lengths[:, None]
    ids = np.full(mask.shape, filler, dtype=np.int64)
    ids[mask] = np.fromiter((number for row in rows for number in row), np.int64, lengths.sum())
    return ids, mask

"""Quick passes of an encoder in int8, by ONNX Runtime.

The activations of a batch share their scale, so an answer depends a little on its companions. A
batch therefore holds texts of one group only, and a group is what one record asks in one round.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from emrobust import runs
from emrobust.models.transformer import Transformer
from emrobust.onnx import engine, graph

# Tokens of a batch, padding included: 512 is as quick, 2,048 is 7 % slower.
BATCH_TOKENS = 1024


class _Part(NamedTuple):
    """Rows of one batch, and where their answers go."""

    places: np.ndarray
    rows: list[list[int]]


class Int8Reader:
    """An encoder that only answers; what it says of a group depends on that group alone.

    Args:
        network: the encoder.
        max_length: tokens that it reads of a text.
        threads: batches that are computed at once.

    Raises:
        ModelError: its architecture holds something that ONNX cannot express.
        StorageError: the disk of temporary files is full or cannot be written.
    """

    def __init__(self, network: Transformer, max_length: int, threads: int) -> None:
        self.network = network
        self.max_length = max_length
        where = Path(tempfile.gettempdir())
        with runs.storage_errors(where), tempfile.TemporaryDirectory(dir=where) as name:
            folder = Path(name)
            graph.write_fp32(network, folder / "fp32.onnx")
            graph.write_int8(folder / "fp32.onnx", folder / "int8.onnx")
            self._session = engine.Session(folder / "int8.onnx", network.pad)
        self._pool = ThreadPoolExecutor(threads)

    def logits(self, groups: Sequence[Sequence[str]]) -> np.ndarray:
        """Float32 [texts of all groups, outputs]."""
        texts = [text for group in groups for text in group]
        rows = self.network.encode(texts, self.max_length)
        answers = np.empty((len(rows), self._session.labels), dtype=np.float32)
        bounds = pairwise(accumulate(map(len, groups), initial=0))
        parts = [part for start, end in bounds for part in _cut(rows, start, end)]

        def answer(part: _Part) -> None:
            answers[part.places] = self._session.run(part.rows)

        for _ in self._pool.map(answer, parts):
            pass
        return answers


def _cut(rows: Sequence[list[int]], start: int, end: int) -> list[_Part]:
    """The batches of the group that lies between two places."""
    lengths = [len(row) for row in rows[start:end]]
    return [
        _Part(places + start, [rows[place + start] for place in places])
        for places in engine.cut(lengths, BATCH_TOKENS)
    ]

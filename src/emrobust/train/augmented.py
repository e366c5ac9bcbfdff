"""Augmented texts as a stream of the training loop, made while the steps before them run.

Processes perturb (`augment.pool`), a thread tokenises what has changed; what has not was tokenised
once. The thread is a few batches ahead and no more.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar, cast

import numpy as np

from emrobust.augment.toolbox import Texts, Toolbox
from emrobust.train.batches import Tokens

# Batches that may wait for the loop.
_AHEAD = 8
Encode = Callable[[Sequence[str]], list[list[int]]]
T = TypeVar("T")


class AugmentedTexts:
    """A `loop.Stream` of a toolbox's texts.

    Args:
        toolbox: prepared for the epochs that will be read.
        plain: the texts as they were written.
        encode: turns texts into token numbers.
    """

    def __init__(self, toolbox: Toolbox, plain: Tokens, encode: Encode) -> None:
        self._toolbox = toolbox
        self._plain = plain
        self._encode = encode
        self._pool = toolbox.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def read(
        self, epoch: int, numbers: Sequence[int], plan: Sequence[np.ndarray]
    ) -> Generator[Tokens, None, None]:
        """See `loop.Stream.read`."""
        texts = self._toolbox.read(self._pool, epoch, numbers, plan)
        made = (self._pack(rows, given) for rows, given in zip(plan, texts, strict=True))
        if not self._toolbox.settings.workers:
            yield from made
            return
        with contextlib.closing(_ahead(made)) as ready:
            yield from ready

    def _pack(self, rows: np.ndarray, texts: Texts) -> Tokens:
        changed = [text for text in texts if text is not None]
        fresh = iter(self._encode(changed) if changed else [])
        starts = self._plain.starts
        pieces = [
            self._plain.flat[starts[row] : starts[row + 1]]
            if text is None
            else np.array(next(fresh), dtype=np.int32)
            for row, text in zip(rows.tolist(), texts, strict=True)
        ]
        ends = np.cumsum([len(piece) for piece in pieces])
        return Tokens(np.concatenate(pieces), np.concatenate([[0], ends]))


def _ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items, computed by a thread that is at most `_AHEAD` of them ahead.

    Raises:
        Exception: what computing an item raised, at its place.
    """
    over = object()
    thread = ThreadPoolExecutor(1, "augmentation")
    try:
        waiting = deque(thread.submit(next, items, over) for _ in range(_AHEAD))
        while (item := waiting.popleft().result()) is not over:
            waiting.append(thread.submit(next, items, over))
            yield cast("T", item)
    finally:
        thread.shutdown(cancel_futures=True)

"""Micro-batching: what came while the model was busy is read together, and nothing ever waits for
company.

All bookkeeping happens in the event loop, so it needs no lock; tokenising and computing happen in
a thread. A request that is cancelled, because its deadline passed or its caller hung up, frees its
place at once. Texts of batch jobs are patient: they are read when no request waits.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import final

import numpy as np

from emrobust.serve.problem import RefusedError

Answer = Callable[[Sequence[str]], np.ndarray]
# Of each batch: its texts, seconds that its oldest text had waited, seconds that it took.
Watch = Callable[[int, float, float], None]


@dataclass(eq=False)
class _Waiting:
    """Texts that are read together, and who waits for their probabilities."""

    texts: Sequence[str]
    done: asyncio.Future[np.ndarray]
    since: float = field(default_factory=time.perf_counter)


@final
class Batcher:
    """One model's queue, and the thread that reads it.

    Args:
        answer: texts → probabilities [texts, labels]; called in a thread, one call at a time.
        queue: texts that may wait; more are refused.
        most: texts of a batch.
        watch: is told of each batch.
    """

    def __init__(self, answer: Answer, *, queue: int, most: int, watch: Watch) -> None:
        self._answer = answer
        self._limit = queue
        self._most = most
        self._watch = watch
        self._urgent: deque[_Waiting] = deque()
        self._patient: deque[_Waiting] = deque()
        self._waiting = 0
        self._busy = False
        self._closed = False
        self._pool = ThreadPoolExecutor(1, "emrobust-model")
        self._pace = 0.01  # seconds a text, as lately measured

    @property
    def waiting(self) -> int:
        """Texts of requests that wait now."""
        return self._waiting

    async def score(self, texts: Sequence[str], *, patient: bool = False) -> np.ndarray:
        """Probabilities of texts, float [texts, labels]; to be awaited in the event loop.

        Args:
            texts: any number.
            patient: whether to let every request pass; such texts have no limit.

        Raises:
            RefusedError: too many texts wait, or the model has been put away (503).
        """
        if self._closed:
            raise RefusedError(503, "retired", "this version has been put away", "Ask again.")
        if not patient and self._waiting + len(texts) > self._limit:
            raise RefusedError(
                503,
                "queue_full",
                f"{self._waiting} texts wait already for this model",
                "Try again in a moment, or send fewer texts.",
                retry=self._waiting * self._pace,
            )
        pieces = [texts[at : at + self._most] for at in range(0, len(texts), self._most)]
        return np.concatenate(await self._all([self._wait(piece, patient) for piece in pieces]))

    async def _all(self, pieces: Sequence[_Waiting]) -> list[np.ndarray]:
        try:
            return [await piece.done for piece in pieces]
        finally:
            for piece in pieces:
                piece.done.cancel()  # does nothing to those that are done

    def _wait(self, texts: Sequence[str], patient: bool) -> _Waiting:
        waiting = _Waiting(texts, asyncio.get_running_loop().create_future())
        (self._patient if patient else self._urgent).append(waiting)
        if not patient:
            self._waiting += len(texts)
            waiting.done.add_done_callback(lambda _: self._leave(waiting))
        self._dispatch()
        return waiting

    def _leave(self, waiting: _Waiting) -> None:
        """Free the place of a request that was cancelled while it stood in the queue."""
        if waiting in self._urgent:
            self._urgent.remove(waiting)
            self._waiting -= len(waiting.texts)

    def _dispatch(self) -> None:
        if self._busy or not (group := self._take()):
            return
        self._busy = True
        start = time.perf_counter()
        texts = [text for waiting in group for text in waiting.texts]
        running = asyncio.get_running_loop().run_in_executor(self._pool, self._answer, texts)
        running.add_done_callback(lambda _: self._deliver(group, running, start))

    def _take(self) -> list[_Waiting]:
        """The oldest that fit a batch; patient ones only where no other waits."""
        return self._take_from(self._urgent) or self._take_from(self._patient)

    def _take_from(self, queue: deque[_Waiting]) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while queue and (not group or size + len(queue[0].texts) <= self._most):
            waiting = queue.popleft()
            if queue is self._urgent:
                self._waiting -= len(waiting.texts)
            if not waiting.done.done():
                group.append(waiting)
                size += len(waiting.texts)
        return group

    def _deliver(
        self, group: Sequence[_Waiting], running: asyncio.Future[np.ndarray], start: float
    ) -> None:
        self._busy = False
        size = sum(len(waiting.texts) for waiting in group)
        spent = time.perf_counter() - start
        self._pace += 0.1 * (spent / size - self._pace)
        self._watch(size, start - group[0].since, spent)
        if running.cancelled() or (error := running.exception()) is not None:
            self._refuse(group, None if running.cancelled() else error)
        else:
            self._hand_out(group, running.result())
        self._dispatch()

    def _hand_out(self, group: Sequence[_Waiting], probability: np.ndarray) -> None:
        place = 0
        for waiting in group:
            behind = place + len(waiting.texts)
            if not waiting.done.done():
                waiting.done.set_result(probability[place:behind])
            place = behind

    def _refuse(self, group: Sequence[_Waiting], error: BaseException | None) -> None:
        name = "a cancelled batch" if error is None else type(error).__name__
        for waiting in group:
            if not waiting.done.done():
                waiting.done.set_exception(
                    RefusedError(500, "model", f"the model failed on this text ({name})")
                )

    async def drain(self) -> None:
        """Wait until nothing waits and nothing is read; then stop the thread."""
        while self._busy or self._urgent or self._patient:
            await asyncio.sleep(0.01)
        self._closed = True
        self._pool.shutdown()

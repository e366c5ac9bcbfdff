"""Processes that perturb texts while something else is done with those before.

Plain child processes over pipes: nothing of the parent's memory, threads or main script is
copied into them, and they end when the parent does, however it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from emrobust.augment.rules import Request, Rules
from emrobust.errors import EmrobustError

_SECONDS = 5.0


class Pool:
    """Applies `Rules` to requests, answers in their order.

    Args:
        rules: arguments of `Rules`, as JSON holds them.
        workers: processes; 0: it is done here, when an answer is asked for.
    """

    def __init__(self, rules: Mapping[str, Any], workers: int) -> None:
        self._rules = None if workers else Rules(**rules)
        self._workers = [_start(rules) for _ in range(workers)]
        self._busy: deque[subprocess.Popen[bytes]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, requests: Iterable[Request]) -> Iterator[list[str]]:
        """The perturbed texts of each request.

        A worker has one request at a time: so neither side waits for the other to read.

        Raises:
            EmrobustError: a worker failed or ended.
        """
        if self._rules is not None:
            yield from map(self._rules, requests)
            return
        while self._busy:  # with what nobody waited for
            _receive(self._busy.popleft())
        idle = deque(self._workers)
        for request in requests:
            answer = None
            if not idle:
                idle.append(self._busy.popleft())
                answer = _receive(idle[0])
            _write(idle[0], request)
            self._busy.append(idle.popleft())
            if answer is not None:
                yield answer
        while self._busy:
            yield _receive(self._busy.popleft())

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.stdin.close()  # type: ignore[union-attr]  # a pipe
        for worker in self._workers:
            try:
                worker.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            worker.stdout.close()  # type: ignore[union-attr]  # a pipe
        self._workers.clear()
        self._busy.clear()


def _start(rules: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    # What is imported here is importable there; the working folder is not looked into.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "emrobust.augment.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    _write(worker, rules)
    return worker


def _write(worker: subprocess.Popen[bytes], value: object) -> None:
    try:
        worker.stdin.write(json.dumps(value).encode() + b"\n")  # type: ignore[union-attr]  # a pipe
        worker.stdin.flush()  # type: ignore[union-attr]  # a pipe
    except OSError:
        raise _ended(worker) from None


def _receive(worker: subprocess.Popen[bytes]) -> list[str]:
    line = worker.stdout.readline()  # type: ignore[union-attr]  # a pipe
    if not line.endswith(b"\n"):
        raise _ended(worker)
    answer = json.loads(line)
    if isinstance(answer, dict):
        raise EmrobustError(
            f"a perturbation failed in a worker process ({answer['error']})",
            "Set `augment.workers = 0` to see where.",
        )
    texts: list[str] = answer
    return texts


def _ended(worker: subprocess.Popen[bytes]) -> EmrobustError:
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(_SECONDS)
    return EmrobustError(
        f"a worker process of the augmentation ended (exit code {worker.returncode})",
        "Was there enough memory? Start again, it goes on from the last checkpoint; or set"
        " `augment.workers = 0`.",
    )
